#!/usr/bin/env bash
# The whole paper: from the raw downloads to Tables I to V, Figures 6 to 9 and two curves, ours beside the paper's.
# Not run yet: no official archive and no 7B model was available. Run it again at any time: it skips what is finished,
# and continues an interrupted training exactly.
#
#   LEVIR_CC=... LEVIR_CD=... SAM=... BLIP2=... MINIGPT4=... VICUNA=... bash runs/paper.sh
#
#   LEVIR_CC   folder with LevirCCcaptions.json and images/{train,val,test}/{A,B}       docs/data.md says where
#   LEVIR_CD   folder with {train,val,test}/{A,B,label}, scenes of 1024x1024                 to get the archives
#   SAM        sam_vit_l_0b3195.pth                                                     docs/weights.md, the same
#   BLIP2      blip2_pretrained_flant5xxl.pth                                               for the weights
#   MINIGPT4   pretrained_minigpt4_7b.pth
#   VICUNA     folder of Vicuna 7B in the Hugging Face layout
#   DEVICES    GPUs of each run [1]; FORMAT text, markdown or latex [text]
#
# Needs pip install 'semantic-cc[vicuna,figures]' and Java 8 or newer for METEOR.
#
# WHAT IT TAKES, RECKONED AND NOT MEASURED. `semantic-cc reproduce TABLE --data DIR --plan a100-80gb` counts the
# operations and the memory of a step on a model without values; seconds are operations / (0.35 x 312 TFLOP/s of an
# A100 in bfloat16), x 0.315 on an H100 (989 TFLOP/s). The figures are of one pair a step with sentences of the
# synthetic world, which are about as long as LEVIR-CC's. Steps: 300 epochs x 6,815 pairs in each stage, batch 1, where
# LEVIR-CC's train split has 6,815 pairs and every one of them finds its mask; `data match` tells how many do.
# Hours = 300 x 6,815 x (sum of the stages' seconds) / 3,600, for one seed on one A100:
#
#   run                            GFLOP a step (stages i + ii + iii)     seconds   GiB at the peak     hours
#   Semantic-CC                    1,389 + 2,534 + 2,645                   0.060     17.2                34
#   RSICCFormer                            1,152                           0.011      3.3                 6
#   PromptCC                               4,071                           0.037     16.6                21
#   PSNet                                  1,272                           0.012      4.4                 7
#   Chg2Cap                                1,152                           0.011      3.1                 6
#   Table II  no BCSF, no enhancer         2,969                           0.027     16.4                15
#             BCSF                         3,020                           0.028     16.8                16
#             BCSF, enhancer               3,021                           0.028     16.8                16
#             cross-attention      1,402 + 2,550 + 2,662                   0.061     17.3                34
#   Table III before, act. or sub. (3)     2,994 to 2,996                  0.027     16.7           16 each
#             after, act. or sub. (2)      3,020, 3,021                    0.028     16.8           16 each
#   Table IV  1-stage                      3,263                           0.030     17.8                17
#             2-stage              1,389 + 2,534                           0.036     17.2                20
#   Table V   FC-Siam-diff                    25                           0.0002     0.2                 0.1
#             IDET                           568                           0.005      1.7                 3
#             ChangeFormer                   914                           0.008      1.1                 5
#             TTP                          1,160                           0.011      2.9                 6
#             Semantic-CC, masks alone     1,389                           0.013     17.0                 7
#                                                                              21 runs in all:          292
#
# So every run fits a 24 GB card by this count (a step's memory is counted in float32; an allocator takes some more),
# and one seed of everything is 12 days of one A100 or 4 of one H100 AT BEST: at batch 1 a GPU spends much of its time on
# starting kernels and reaches less than 35 % of its peak, how much less nobody has measured. `semantic-cc train --config
# paper --data DIR --plan` times real steps on your machine; multiply by that before you begin. Evaluations come on top.
set -euo pipefail
cd "$(dirname "$0")/.."
out=runs/out/paper
work=$out/data
mkdir -p $work

# 1. Foundation weights, once into the cache; their digests are held against the official ones.
semantic-cc weights convert "$SAM"
semantic-cc weights convert "$BLIP2"
semantic-cc weights convert "$MINIGPT4"
semantic-cc weights convert "$VICUNA" --name vicuna-7b

# 2. Data. Scenes are cut into tiles of 256 once, or every random tile would decode its whole scene; then each captioned
#    pair gets the mask of the tile that shows the same. In the result every place is in LEVIR-CC's split, so no place of a
#    test caption is trained on, whatever split LEVIR-CD has it in (docs/data.md).
[ -d $work/levir-cd ] || semantic-cc data convert "$LEVIR_CD" $work/levir-cd --to list
[ -f $work/matches.json ] || semantic-cc data match "$LEVIR_CC" $work/levir-cd --out $work/matches.json
semantic-cc data stats $work/matches.json

# 3. Leaks. Exit code 1 says that a place is in two splits: read the report before you believe a number. Within LEVIR-CC
#    there should be none. Between the two datasets there should be some, which are split differently: it is why the
#    matches are trained on, and why Table V is scored on them.
semantic-cc data audit "$LEVIR_CC" --out $out/audit-cc.json || echo "LEVIR-CC's own splits leak: $out/audit-cc.json"
semantic-cc data audit "$LEVIR_CC" $work/levir-cd --out $out/audit-both.json || echo "as expected: $out/audit-both.json"

# 4. Tables, each from one command; rows that several share are trained once. Sentences are scored on LEVIR-CC's test
#    split. Masks are scored on tiles of the matches' test split, which has no training place. Table V also scores whole
#    scenes of LEVIR-CD's test split with overlapping windows, as the paper does (--scenes). That split has places that
#    are trained on here, so these scores are not clean.
reproduce() {
  semantic-cc reproduce "$1" --scale paper --data $work/matches.json --test "$LEVIR_CC" --masks $work/matches.json \
    --scenes "$LEVIR_CD" --out $out/reproduce --devices "${DEVICES:-1}" --format "${FORMAT:-text}"
}
for table in table1 table2 table3 table4 table5; do
  reproduce $table | tee $out/$table.txt
done

# 5. Figures: their models are the tables' runs of seed 0, so nothing is trained here.
for figure in fig6 fig7 fig8 fig9; do
  reproduce $figure
done

# 6. Curves: scores over the number of training pairs (three more runs), and checkpoints of one, two and three stages (the
#    runs of Table IV once more, because the tables keep no checkpoints).
for figure in fig-data fig-convergence; do
  reproduce $figure
done

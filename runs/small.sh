#!/usr/bin/env bash
# Trains the default model (runs/small.yaml), scores it, and packages it. docs/log.md has the figures.
# Safe to run again: finished phases are skipped, an interrupted one goes on where it stopped.
# `semantic-cc train --config runs/small.yaml --plan` prints the hours that the training takes on your machine.
#
# Needs pip install '.[hybrid]', and these folders. LEVIR-CD and LEVIR-CC are for research use only.
#   data/scenes    LEVIR-CD: {train,val}/{A,B,label}, scenes of 1024 x 1024
#   data/half      the same layout: LEVIR-CD scenes of 512 x 512, at half the resolution
#   data/mci       LEVIR-MCI: images/{train,val,test}/{A,B,label} and LevirCCcaptions.json, 256 x 256
#   data/half_mci  the same layout: pairs cut from the scenes at half the resolution, enlarged to 256 x 256
#   data/ucmerced, data/ucmerced_buildings: single-date images and their building masks (runs/real.yaml)
set -euo pipefail
cd "$(dirname "$0")/.."
out=runs/out/small

[ -d data/single ] || semantic-cc synth data/single --recipe runs/real.yaml --pairs 3000 --seed 1
[ -d data/world ] || semantic-cc synth data/world --pairs 2000 --seed 1
[ -d data/unseen ] || semantic-cc synth data/unseen --pairs 1000 --seed 77

semantic-cc train --config runs/small.yaml --resume auto --devices "${DEVICES:-1}"

for data in mci unseen; do
  semantic-cc evaluate --model $out/model --data data/$data --split test --out $out/$data.json --reliability $out/$data.png
done

# what the package ships: the trained weights in bfloat16
semantic-cc weights publish $out/model --out src/semantic_cc/pretrained/small --name small --dtype bfloat16

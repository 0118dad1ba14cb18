#!/usr/bin/env bash
# Makes the data, trains the default model, scores it, and packages it. docs/log.md has the figures.
# Safe to run again: each step goes on where it was cut off, or is skipped.
#
# Needs data/ucmerced and data/ucmerced_buildings (runs/real.yaml says how they are laid out), and
#   pip install '.[hybrid]'
# Two CPU cores: some five hours in all (reckoned from its parts). With more devices: DEVICES=4 runs/small.sh
set -euo pipefail
cd "$(dirname "$0")/.."
out=runs/out/small
mkdir -p $out
devices="--devices ${DEVICES:-1}"

# data: the drawn world, real tiles, and what no training run sees
made() { [ -d "$1" ] || semantic-cc synth "$@"; }
made data/world --pairs 6000 --seed 1
made data/real --recipe runs/real.yaml --pairs 8000 --seed 1
made data/told --recipe runs/real.yaml --pairs 2000 --seed 2
made data/unseen --recipe runs/unseen.yaml --pairs 1000 --seed 77
made data/unchanged --recipe runs/unchanged.yaml --pairs 500 --seed 2

# No SAM of this size exists: beside ImageNet's features the encoder first learns land cover and real buildings.
[ -f $out/encoder.safetensors ] || semantic-cc pretrain --config small --data data/world --recipe runs/real.yaml \
  --images 3200 --out $out/encoder.safetensors

# Stage i alone: there is no change to tell of before the encoder sees it.
semantic-cc train --config small --data data/world data/real --out $out/change --resume auto $devices \
  --model.encoder.weights $out/encoder.safetensors --optim.lr 6e-4 --train.augment true \
  --train.epochs 4 --train.change_batch 8 --train.change_items 1300 --train.caption_items 0 --train.joint_items 0

# Sentences are learned from the world and fewer real tiles: these have fewer things to tell of.
told="data/world data/told"

# No Q-Former of this size exists either: it learns which words the sentences use, and then the LLM reads it,
# where something is before what it is.
[ -d $out/aligned ] || semantic-cc align --config small --data $told --out $out/aligned \
  --pairs 4500 --epochs 16 --places 2 --reading 2 --train.sentences 3 --train.init $out/change/model

# The paper's three stages, gently: at ten times this rate they undo what the LLM has read. What is not said here is
# in src/semantic_cc/presets/small.yaml.
semantic-cc train --config small --data $told --out $out/stages --resume auto $devices \
  --train.init $out/aligned --optim.lr 2e-5 --train.augment true

# What the stages leave: edges, which a mask decoder learns late, and a head that reads places and numbers off tokens
# and masks and speaks for them while a sentence is written. Each trains on what the rest says, which no longer changes.
[ -d $out/sharp ] || semantic-cc sharpen --model $out/stages/model --data data/world data/real --out $out/sharp --epochs 10 --pairs 6000
[ -d $out/guided ] || semantic-cc guide --model $out/sharp --data $told --out $out/guided

# The flag's probability is calibrated on validation pairs; nothing is chosen on the test pairs.
[ -d $out/model ] || semantic-cc calibrate --model $out/guided --data $told --out $out/model

for data in unseen unchanged; do
  semantic-cc evaluate --model $out/model --data data/$data --split test --out $out/$data.json --reliability $out/$data.png
done

# what the package ships: the trained weights in bfloat16
python - <<'PY'
import torch

from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained

model, info = load_pretrained("runs/out/small/model", merge=False)
save_pretrained(model, "src/semantic_cc/pretrained/small", name="small", training=info.training, dtype=torch.bfloat16)
PY

#!/usr/bin/env bash
# Trains the default model from nothing, then the same with the change task off, scores both, packages the first.
# Two CPU cores: about two hours in all (docs/log.md has the figures).
# Safe to run again: each step goes on where it was cut off, or is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=active # threads that sleep between kernels make a training step 2.5 times slower
out=runs/out

[ -d data/world ] || semantic-cc synth data/world --pairs 5000 --seed 1

# No SAM of this size exists: the encoder first learns to name the land cover of single images.
[ -f $out/encoder.safetensors ] || semantic-cc pretrain --config small --data data/world --out $out/encoder.safetensors

# Stage i alone: there is no change to tell of before the encoder sees it.
semantic-cc train --config small --data data/world --out $out/small-change --resume auto \
  --model.encoder.weights $out/encoder.safetensors --optim.lr 6e-4 --train.augment true \
  --train.change_items 2600 --train.caption_items 0 --train.joint_items 0

# No Q-Former of this size exists either: it learns which words the sentences use, before the LLM reads it.
[ -d $out/small-aligned ] || semantic-cc align --config small --data data/world --out $out/small-aligned \
  --train.init $out/small-change/model

# The paper's three stages; every value is in src/semantic_cc/presets/small.yaml.
semantic-cc train --config small --data data/world --out $out/small --resume auto --train.init $out/small-aligned

# The same with the change task off: captioning alone, which then trains the encoder too.
off=small+table2-enhancer
[ -d $out/off-aligned ] || semantic-cc align --config $off --data data/world --out $out/off-aligned \
  --model.encoder.weights $out/encoder.safetensors
semantic-cc train --config $off --data data/world --out $out/off --resume auto --train.init $out/off-aligned

for run in small off; do
  semantic-cc evaluate --model $out/$run/model --data data/world --split test --out $out/$run/test.json
done

# what the package ships: the trained weights in bfloat16
python - <<'PY'
import torch

from semantic_cc.model.checkpoint import load_pretrained, save_pretrained

model, info = load_pretrained("runs/out/small/model", merge=False)
save_pretrained(model, "src/semantic_cc/weights/small", name="small", training=info.training, dtype=torch.bfloat16)
PY

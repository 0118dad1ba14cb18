#!/usr/bin/env bash
# Trains the default model from nothing: world -> pretraining -> three-stage training -> scores -> packaged weights.
# Two CPU cores: about an hour and a half in all (docs/log.md has the figures).
# Safe to run again: each step goes on where it was cut off.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=active # threads that sleep between kernels make a training step 2.5 times slower

[ -d data/world ] || semantic-cc synth data/world --pairs 5000 --seed 1

# No SAM of this size exists: the encoder first learns to name the land cover of single images.
encoder=runs/out/small-encoder.safetensors
[ -f "$encoder" ] || semantic-cc pretrain --config small --data data/world --out "$encoder"

# The model, and the same with the change task off: captioning alone, which then trains the encoder too.
# Every value is in src/semantic_cc/presets/.
for run in small small+table2-enhancer; do
  out=runs/out/${run/+/-}
  semantic-cc train --config "$run" --data data/world --out "$out" --model.encoder.weights "$encoder" --resume auto
  semantic-cc evaluate --model "$out/model" --data data/world --split test --out "$out/test.json"
done

# what the package ships: the trained weights in bfloat16
python - <<'PY'
import torch

from semantic_cc.model.checkpoint import load_pretrained, save_pretrained

model, info = load_pretrained("runs/out/small/model", merge=False)
save_pretrained(model, "src/semantic_cc/weights/small", name="small", training=info.training, dtype=torch.bfloat16)
PY

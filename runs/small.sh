#!/usr/bin/env bash
# Trains the default model from nothing: world -> three-stage training -> scores -> packaged weights.
# Two CPU cores: about 10 minutes for the world and an hour for the training (docs/log.md has the figures).
# Safe to run again: each step goes on where it was cut off.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=active # threads that sleep between kernels make a training step 2.5 times slower

[ -d data/world ] || semantic-cc synth data/world --pairs 5000 --seed 1

# every value is in src/semantic_cc/presets/small.yaml
semantic-cc train --config small --data data/world --out runs/out/small --resume auto
semantic-cc evaluate --model runs/out/small/model --data data/world --split test --out runs/out/small/test.json

# the same budget of captions, change task off: captioning alone, which then trains the encoder too
semantic-cc train --config small+table2-enhancer --data data/world --out runs/out/small-alone --resume auto
semantic-cc evaluate --model runs/out/small-alone/model --data data/world --split test --out runs/out/small-alone/test.json

# what the package ships: the trained weights in bfloat16
python - <<'PY'
import torch

from semantic_cc.model.checkpoint import load_pretrained, save_pretrained

model, info = load_pretrained("runs/out/small/model", merge=False)
save_pretrained(model, "src/semantic_cc/weights/small", name="small", training=info.training, dtype=torch.bfloat16)
PY

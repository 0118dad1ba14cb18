#!/usr/bin/env bash
# What real texture, unrelated single-date pairs, the encoder's pretraining and BCSF are worth to the mask, at a small
# budget (ablations.yaml; some fifteen minutes of one core each): building F1 on real crops and on the drawn world.
# docs/log.md has what came out. The change task and the stages: `semantic-cc reproduce table2|table4 --scale small`.
#
#   runs/ablations.sh LEVIR_CD      # crops as runs/real_pairs.py wants them; after runs/small.sh made its data
set -euo pipefail
cd "$(dirname "$0")/.."
crops=$1
out=runs/out/ablations
mkdir -p $out

# the engine without unrelated images; beside the data, since its paths are relative to it
sed -E 's/^( +(ground|buildings)_to_buildings): .*/\1: 0/' runs/real.yaml > data/pasted.yaml
[ -d data/pasted ] || semantic-cc synth data/pasted --recipe data/pasted.yaml --pairs 2000 --seed 2

# NAME, how the encoder is pretrained
start() {
  local name=$1; shift
  semantic-cc train --config runs/ablations.yaml --phase encoder --data data/world --out $out/start-$name --resume auto "$@"
}
start real --phases.encoder.recipe runs/real.yaml
start world
start none --phases.encoder.items 8 # one step, so ImageNet's features only
start no-bcsf --phases.encoder.recipe runs/real.yaml --model.encoder.bcsf false

# NAME, START, what stage i learns from and how
try() {
  local name=$1 start=$2; shift 2
  semantic-cc train --config runs/ablations.yaml --phase change_detection --resume auto \
    --train.init $out/start-$start/phases/encoder/model --out $out/$name --data "$@"
  python - $name $out/$name/phases/change_detection/model $crops <<'PY'
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc import SemanticCC
from semantic_cc.evaluation.evaluate import evaluate
from semantic_cc.types import BUILDING

sys.path.insert(0, "runs")
from real_pairs import NOT_SCORED, f1, scores

name, folder, root = sys.argv[1], sys.argv[2], Path(sys.argv[3])
model, total = SemanticCC.from_pretrained(folder), np.zeros(3, int)  # its flag is untrained, so masks are asked for alone
for crop in (root / "list.txt").read_text().split():
    dates = [np.asarray(Image.open(root / date / crop).convert("RGB"))[None] for date in ("A", "B")]
    found = model.predict_masks(*dates).class_probabilities[0].argmax(axis=0) == model.num_classes - 1
    if crop != NOT_SCORED:
        total += scores(found, np.asarray(Image.open(root / "label" / crop)) == BUILDING)
print(f"{name}: real crops, building F1 {100 * f1(*total.tolist()):.1f}")
report = evaluate(folder, ("data/unseen",), limit=200, sentences=False)
print(f"{name}: world, building F1 {report['change']['building']['f1']:.1f}")
PY
}
try all real data/world data/told
try no-real-texture world data/world
try no-unrelated-pairs real data/world data/pasted
try no-pretraining none data/world data/told
try no-bcsf no-bcsf data/world data/told --model.encoder.bcsf false

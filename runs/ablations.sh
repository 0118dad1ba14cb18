#!/usr/bin/env bash
# What real texture, unrelated single-date pairs and the encoder's pretraining are worth to the mask, at a small
# budget (ablations.yaml; some fifteen minutes of one core each): building F1 on real crops and on the drawn world.
# docs/log.md has what came out. The parts of the architecture and the stages: `semantic-cc reproduce table2|table4`.
#
#   runs/ablations.sh LEVIR_CD LEVIR_CC      # as runs/real_pairs.py wants them; after runs/small.sh made its data
set -euo pipefail
cd "$(dirname "$0")/.."
out=runs/out/ablations
mkdir -p $out

# the engine without unrelated images; beside the data, since its paths are relative to it
sed -E 's/^( +(ground|buildings)_to_buildings): .*/\1: 0/' runs/real.yaml > data/pasted.yaml
[ -d data/pasted ] || semantic-cc synth data/pasted --recipe data/pasted.yaml --pairs 1500 --seed 1

# NAME, what the encoder is pretrained on (--images 8: one step, so ImageNet's features alone), data of stage i
try() {
  local name=$1 pretraining=$2; shift 2
  [ -f $out/$name.safetensors ] || semantic-cc pretrain --config runs/ablations.yaml --data data/world $pretraining --out $out/$name.safetensors
  semantic-cc train --config runs/ablations.yaml --model.encoder.weights $out/$name.safetensors --data "$@" \
    --out $out/$name --resume auto
  python runs/real_pairs.py $out/$name/model $crops $pairs | grep "over all" | sed "s/^/$name: /"
  python - $name $out/$name/model <<'PY'
import sys

from semantic_cc.evaluation.evaluate import evaluate

report = evaluate(sys.argv[2], ("data/unseen",), limit=200, sentences=False)
print(f"{sys.argv[1]}: world, building F1 {report['change']['building']['f1']:.1f}")
PY
}

crops=$1 pairs=$2
try all "--recipe runs/real.yaml --images 800" data/world data/real
try no-real-texture "--images 800" data/world
try no-unrelated-pairs "--recipe runs/real.yaml --images 800" data/world data/pasted
try no-pretraining "--images 8" data/world data/real

#!/usr/bin/env bash
# Makes the data, trains the default model (runs/small.yaml), scores it, and packages it. docs/log.md has the figures.
# Safe to run again: finished steps are skipped, an interrupted training goes on where it stopped.
# Needs data/ucmerced and data/ucmerced_buildings (runs/real.yaml says how they are laid out), and pip install '.[hybrid]'
# `semantic-cc train --config runs/small.yaml --plan` prints the hours that the training takes on your machine.
set -euo pipefail
cd "$(dirname "$0")/.."
out=runs/out/small

# data: synthetic pairs, pairs of real tiles, and pairs that no training sees
make_pairs() { [ -d "$1" ] || semantic-cc synth "$@"; }
make_pairs data/world --pairs 6000 --seed 1
make_pairs data/real --recipe runs/real.yaml --pairs 8000 --seed 1
make_pairs data/told --recipe runs/real.yaml --pairs 2000 --seed 2
make_pairs data/unseen --recipe runs/unseen.yaml --pairs 1000 --seed 77
make_pairs data/unchanged --recipe runs/unchanged.yaml --pairs 500 --seed 2

# all phases, from ImageNet's features and SmolLM2 to the calibrated model
semantic-cc train --config runs/small.yaml --resume auto --devices "${DEVICES:-1}"

for data in unseen unchanged; do
  semantic-cc evaluate --model $out/model --data data/$data --split test --out $out/$data.json --reliability $out/$data.png
done

# what the package ships: the trained weights in bfloat16
semantic-cc weights publish $out/model --out src/semantic_cc/pretrained/small --name small --dtype bfloat16

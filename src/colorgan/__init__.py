"""colorgan turns black-and-white photographs into color ones."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorgan.batch.options import BatchOptions
    from colorgan.batch.run import Summary, colorize_files
    from colorgan.callbacks import Callbacks
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.colorize.encoded import ColorizedPhoto
    from colorgan.colorize.options import ColorizeOptions
    from colorgan.comparison.compare import compare
    from colorgan.comparison.options import CompareOptions
    from colorgan.data.options import PrepareOptions
    from colorgan.data.prepare import prepare
    from colorgan.errors import ColorganError
    from colorgan.images.hints import Hint
    from colorgan.models.loading import load_model
    from colorgan.models.onnx_export import export_onnx
    from colorgan.models.registry import available_models
    from colorgan.training.launch import TrainingResult
    from colorgan.training.options import FinetuneOptions
    from colorgan.training.train_options import TrainOptions
    from colorgan.training.verbs import finetune, train

__version__ = "0.1.0"
__all__ = [
    "BatchOptions",
    "Callbacks",
    "ColorganError",
    "ColorizeOptions",
    "ColorizedPhoto",
    "Colorizer",
    "CompareOptions",
    "FinetuneOptions",
    "Hint",
    "PrepareOptions",
    "Summary",
    "TrainOptions",
    "TrainingResult",
    "__version__",
    "available_models",
    "colorize_files",
    "compare",
    "export_onnx",
    "finetune",
    "load_model",
    "prepare",
    "train",
]
# The module of each name, imported on first use: most import torch, whose seconds `colorgan --help` must not take.
_MODULES = {
    "BatchOptions": "batch.options",
    "Callbacks": "callbacks",
    "ColorganError": "errors",
    "ColorizeOptions": "colorize.options",
    "ColorizedPhoto": "colorize.encoded",
    "Colorizer": "colorize.colorizer",
    "CompareOptions": "comparison.options",
    "FinetuneOptions": "training.options",
    "Hint": "images.hints",
    "PrepareOptions": "data.options",
    "Summary": "batch.run",
    "TrainOptions": "training.train_options",
    "TrainingResult": "training.launch",
    "available_models": "models.registry",
    "colorize_files": "batch.run",
    "compare": "comparison.compare",
    "export_onnx": "models.onnx_export",
    "finetune": "training.verbs",
    "load_model": "models.loading",
    "prepare": "data.prepare",
    "train": "training.verbs",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

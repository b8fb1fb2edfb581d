"""The options that a run's `run.json` holds, read under today's names and with what came after it."""

from collections.abc import Iterable, Mapping
from typing import Any

from colorgan.options import options_of
from colorgan.training.options import ALWAYS_THERE, FinetuneOptions, RunOption
from colorgan.training.train_options import TrainOptions

_OPTIONS = {name: each.option for kind in (FinetuneOptions, TrainOptions) for name, each in options_of(kind).items()}
_RUN_OPTIONS = {name: option for name, option in _OPTIONS.items() if isinstance(option, RunOption)}
BEFORE = {name: option.before for name, option in _RUN_OPTIONS.items() if option.before is not ALWAYS_THERE}
MAY_CHANGE = {name for name, option in _RUN_OPTIONS.items() if option.may_change}
_RENAMED = {old: name for name, option in _OPTIONS.items() for old in option.formerly}


def recorded_options(recorded: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The options of a run under today's names, with those that its version did not have yet.

    Args:
        recorded: options by name, from its `run.json`.
        names: of the options that there are today.
    """
    known = {_RENAMED.get(name, name): value for name, value in recorded.items()}
    return {name: BEFORE[name] for name in names if name in BEFORE} | known

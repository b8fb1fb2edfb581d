"""Metadata of options: help, bounds, unit and spellings, declared once in the annotation of the option's field.

The dataclasses of options validate their values by it, `cli` makes its parameters and the reference its pages from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, MISSING, dataclass, fields, replace
from functools import cache
from inspect import cleandoc, get_annotations
from math import isnan
from numbers import Integral, Real
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from colorgan.errors import UsageError


@dataclass(frozen=True)
class Option:
    """Metadata of an option, given in its annotation: `size: Annotated[int, Option("...")] = 256`.

    Attributes:
        help: what it does, in sentences; other parameters are named in backticks, as in "`size`" or "`loss=bins`".
        panel: heading under which the command's help shows it.
        above: exclusive lower bound of a number.
        minimum: inclusive lower bound of a number.
        maximum: inclusive upper bound of a number.
        unit: unit of a number, such as pixels.
        flags: command-line spellings, if they do not follow from the name: `--from`, or `--output -o`.
        formerly: former names, still accepted from scripts and files but not shown.
        variable: environment variable that is read if the option is not given.
        metavar: placeholder of its value in the help.
        unset: description of the default, for the help, if the default is not a value.
        completes: kind of values that shell completion offers.
        parse: converts the given text, or list of texts if `repeated`, to the value; for types that Typer cannot parse.
        repeated: whether it may be given several times.
    """

    help: str
    panel: str = ""
    _: KW_ONLY
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    flags: str = ""
    formerly: tuple[str, ...] = ()
    variable: str = ""
    metavar: str = ""
    unset: str = ""
    completes: Literal["", "model", "models", "start"] = ""
    parse: Callable[[Any], Any] | None = None
    repeated: bool = False


@dataclass(frozen=True)
class OptionField:
    """A field or parameter with its metadata.

    Attributes:
        name: name in Python.
        kinds: the types of its value, without None.
        optional: whether it may be None.
        default: default value; `dataclasses.MISSING` if it is required.
        option: the metadata.
    """

    name: str
    kinds: tuple[Any, ...]
    optional: bool
    default: Any
    option: Option

    @property
    def choices(self) -> tuple[Any, ...]:
        """The allowed values of a Literal; empty for other types."""
        return get_args(self.kinds[0]) if get_origin(self.kinds[0]) is Literal else ()

    @property
    def is_number(self) -> bool:
        """Whether its type is int or float."""
        return self.kinds in ((int,), (float,))

    @property
    def help(self) -> str:
        """The help with the allowed values."""
        values = f" ({allowed})" if (allowed := self.allowed_values()) else ""
        return self.option.help.rstrip(".") + values + "."

    @property
    def spellings(self) -> list[str]:
        """The spellings on the command line; a switch that is on by default as --NAME/--no-NAME."""
        if self.option.flags:
            return self.option.flags.split()
        name = self.name.replace("_", "-")
        is_switch = self.kinds == (bool,) and self.default is not False
        return [f"--{name}/--no-{name}" if is_switch else f"--{name}"]

    def spelled(self, value: Any) -> list[str]:
        """Return the command-line arguments that set it to a value; for a repeated option, to each of its values."""
        on, _, off = self.spellings[0].partition("/")
        if self.option.repeated:
            return [word for each in value for word in (on, str(each))]
        return [on if value else off] if self.kinds == (bool,) else [on, str(value)]

    def allowed_values(self) -> str:
        """Describe the allowed values, such as "16 to 4096 pixels" or "shape or square"; empty if any is allowed."""
        option = self.option
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}"
        least = f"above {option.above:.10g}, at most" if option.above is not None else ""
        least = f"{option.minimum:.10g} to" if option.minimum is not None else least
        if option.maximum is not None:
            unit = "" if option.unit in self.name else f" {option.unit}"
            return f"{least or 'at most'} {option.maximum:.10g}{unit}"
        return "" if option.minimum is None else f"{option.minimum:.10g} or more"

    def accepts(self, value: Any) -> bool:
        """Whether a value has the right type and is within the bounds."""
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if self.kinds == (bool,):
            return isinstance(value, bool)
        if not self.is_number:
            return True
        if isinstance(value, bool) or not isinstance(value, Integral if self.kinds == (int,) else Real):
            return False
        option, number = self.option, float(value)
        return (
            (option.above is None or number > option.above)
            and (option.minimum is None or number >= option.minimum)
            and (option.maximum is None or number <= option.maximum)
            and not isnan(number)
        )

    def check(self, value: Any) -> None:
        """Raise UsageError unless the value is accepted.

        Raises:
            UsageError: it has another type or is out of bounds.
        """
        if not self.accepts(value):
            allowed = self.allowed_values()
            expected = allowed or ("yes or no" if self.kinds == (bool,) else "a number")
            advice = "Choose one of these."
            if self.is_number:
                advice = "Give a number in that range." if allowed else "Give a number."
            raise UsageError(f"`{self.name}` to be {expected}", repr(value), advice, parameter=self.name)


def option_field(name: str, hint: Any, default: Any = MISSING) -> OptionField | None:
    """Return a field or parameter with the `Option` in its annotation; None if it has none.

    Args:
        name: name of the field.
        hint: its annotation.
        default: its default value.
    """
    if get_origin(hint) is not Annotated:
        return None
    kind, *metadata = get_args(hint)
    option = next((each for each in metadata if isinstance(each, Option)), None)
    is_union = not isinstance(kind, type) and NoneType in get_args(kind)
    kinds = tuple(each for each in get_args(kind) if each is not NoneType) if is_union else (kind,)
    return OptionField(name, kinds, is_union, default, option) if option else None


@cache
def options_of(kind: type) -> dict[str, OptionField]:
    """Return the options of a dataclass by name, in the order of its fields.

    A field to which a subclass only gives another default keeps its metadata.
    """
    known, found = _annotated_options(kind), {}
    for field in fields(kind):
        if each := known.get(field.name):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            found[field.name] = replace(each, default=default)
    return found


def _annotated_options(kind: type) -> dict[str, OptionField]:
    """Return the options in the annotations of a class and its bases, without defaults."""
    hints = (each for base in reversed(kind.__mro__) for each in get_annotations(base, eval_str=True).items())
    return {name: each for name, hint in hints if (each := option_field(name, hint))}


class Checked:
    """Base of the dataclasses of options, which validates their values on construction.

    The help of the options is appended to the docstring of each subclass.
    """

    def __init_subclass__(cls) -> None:
        """Append the options to the docstring."""
        super().__init_subclass__()
        lines = [f"    {name}: {each.help}" for name, each in _annotated_options(cls).items()]
        cls.__doc__ = "\n".join([cleandoc(cls.__doc__ or ""), "", "Options:", *lines])

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            UsageError: one has another type or is out of bounds.
        """
        kind: type = type(self)
        for name, each in options_of(kind).items():
            each.check(getattr(self, name))


RUNNING, FILES, COLORS, RESULTS = "Running", "Files", "Colors", "Results"  # panels of several commands

DEVICE = Option(
    "Where to compute: auto (CUDA, then MPS, then the CPU), cpu, cuda, cuda:N or mps.",
    RUNNING,
    variable="COLORGAN_DEVICE",
    metavar="DEVICE",
)
SEED = Option("Seed of every random choice.", RUNNING, minimum=0, maximum=2**32 - 1)
OVERWRITE = Option("Redo finished work and replace existing files.", FILES)

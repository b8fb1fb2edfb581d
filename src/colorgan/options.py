"""What there is to say of an option, once: help, bounds, unit and spellings, as metadata of the field that holds it.

The dataclasses of options check themselves by it, `cli` makes its parameters of it, and the reference its pages.
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
    """What there is to say of an option; it stands in its annotation: `size: Annotated[int, Option("...")] = 256`.

    Attributes:
        help: what it does, in sentences; other parameters are named in backticks, as in "`size`" or "`loss=bins`".
        panel: heading under which the command's help shows it.
        above: numbers are greater than this.
        minimum: numbers are at least this.
        maximum: numbers are at most this.
        unit: what a number counts, such as pixels.
        flags: on the command line, where that does not follow from the name: `--from`, or `--output -o`.
        formerly: names that it had before, still taken from scripts and files and shown nowhere.
        variable: of the environment, which is looked at where the option is not given.
        metavar: what stands for its value in the help.
        unset: what holds where it is not given, in words.
        completes: what a shell offers for it.
        parse: makes the value of the text that was given, or of the texts where `repeated`; for types that are not
            simple.
        repeated: may be given several times.
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
class Described:
    """A field or a parameter with its metadata.

    Attributes:
        name: in Python.
        kinds: what its value may be, without None.
        optional: whether it may be None.
        default: `dataclasses.MISSING` where it has to be given.
        option: the metadata.
    """

    name: str
    kinds: tuple[Any, ...]
    optional: bool
    default: Any
    option: Option

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that there are, of one that is chosen from a list."""
        return get_args(self.kinds[0]) if get_origin(self.kinds[0]) is Literal else ()

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self.kinds in ((int,), (float,))

    @property
    def help(self) -> str:
        """What it does, and what values there are."""
        values = f" ({words})" if (words := self.words()) else ""
        return self.option.help.rstrip(".") + values + "."

    @property
    def spellings(self) -> list[str]:
        """How it is spelled on the command line; a switch as --on/--off."""
        if self.option.flags:
            return self.option.flags.split()
        name = self.name.replace("_", "-")
        is_switch = self.kinds == (bool,) and self.default is not False
        return [f"--{name}/--no-{name}" if is_switch else f"--{name}"]

    def spelled(self, value: Any) -> list[str]:
        """The words of a command line that give it a value.

        Args:
            value: one that it has; several of one that may be repeated.
        """
        on, _, off = self.spellings[0].partition("/")
        if self.option.repeated:
            return [word for each in value for word in (on, str(each))]
        return [on if value else off] if self.kinds == (bool,) else [on, str(value)]

    def words(self) -> str:
        """What values there are, such as "16 to 4096 pixels" or "shape or square"; empty where any is taken."""
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

    def takes(self, value: Any) -> bool:
        """Whether a value is one of those that there are."""
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
        """Refuse a value that is none of those that there are.

        Raises:
            UsageError: it is none.
        """
        if not self.takes(value):
            words = self.words() or ("yes or no" if self.kinds == (bool,) else "a number")
            advice = "Choose one of these."
            if self.is_number and not self.choices:
                advice = "Give a number in that range." if self.words() else "Give a number."
            raise UsageError(f"`{self.name}` to be {words}", repr(value), advice, parameter=self.name)


def described(name: str, hint: Any, default: Any = MISSING) -> Described | None:
    """What an annotation says of a field or parameter, or None where it has no `Option`.

    Args:
        name: of the field.
        hint: its annotation.
        default: its value where none is given.
    """
    if get_origin(hint) is not Annotated:
        return None
    kind, *metadata = get_args(hint)
    option = next((each for each in metadata if isinstance(each, Option)), None)
    is_union = not isinstance(kind, type) and NoneType in get_args(kind)
    kinds = tuple(each for each in get_args(kind) if each is not NoneType) if is_union else (kind,)
    return Described(name, kinds, is_union, default, option) if option else None


@cache
def options_of(kind: type) -> dict[str, Described]:
    """The options that a dataclass has, by name, in the order of its fields.

    A field that a subclass gives another default keeps what was said of it before.

    Args:
        kind: the dataclass.
    """
    known, found = _described_in(kind), {}
    for field in fields(kind):
        if each := known.get(field.name):
            default = field.default if field.default_factory is MISSING else field.default_factory()
            found[field.name] = replace(each, default=default)
    return found


def _described_in(kind: type) -> dict[str, Described]:
    """What the annotations of a class and of those that it comes from say."""
    hints = (each for base in reversed(kind.__mro__) for each in get_annotations(base, eval_str=True).items())
    return {name: each for name, hint in hints if (each := described(name, hint))}


class Checked:
    """What dataclasses of options come from: their values are looked at when they are made.

    What the metadata says of the fields is added to their docstrings.
    """

    def __init_subclass__(cls) -> None:
        """Write the docstring on."""
        super().__init_subclass__()
        lines = [f"    {name}: {each.help}" for name, each in _described_in(cls).items()]
        cls.__doc__ = "\n".join([cleandoc(cls.__doc__ or ""), "", "Options:", *lines])

    def __post_init__(self) -> None:
        """Look at the values.

        Raises:
            UsageError: one is none of those that there are.
        """
        kind: type = type(self)
        for name, each in options_of(kind).items():
            each.check(getattr(self, name))


RUNNING, FILES, COLORS, RESULTS = "Running", "Files", "Colors", "Results"  # headings that several commands have

DEVICE = Option(
    "Where to compute: auto (CUDA, then MPS, then the CPU), cpu, cuda, cuda:N or mps.",
    RUNNING,
    variable="COLORGAN_DEVICE",
    metavar="DEVICE",
)
SEED = Option("Seed of every random choice.", RUNNING, minimum=0, maximum=2**32 - 1)
OVERWRITE = Option("Redo finished work and replace existing files.", FILES)

"""Makes the parameters of commands from the metadata of options, and spells parameters as on the command line."""

from __future__ import annotations

import copy
import glob
import inspect
import os
import re
from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
import typer.core

from colorgan.cli.streams import ReaderGoneError
from colorgan.models.info import SAFETENSORS_SUFFIXES, TORCH_SUFFIXES
from colorgan.options import RUNNING, Option, OptionField, option_field, options_of

_Function = Callable[..., None]
# The values that the user gave, by class of options and name; the class itself has the defaults and checks.
Given = Mapping[type, dict[str, Any]]

_KINDS = (
    ("colorize.options", "ColorizeOptions"),
    ("batch.options", "BatchOptions"),
    ("data.options", "PrepareOptions"),
    ("training.options", "FinetuneOptions"),
    ("training.train_options", "TrainOptions"),
    ("comparison.options", "CompareOptions"),
)
# Command-line spellings of parameters of the library's functions that are not fields of options.
_PARAMETERS = {"inputs": "INPUT", "listed": "--from-file", "sources": "SOURCE"} | {
    name: f"--{name}" for name in ("app", "data", "model", "output", "port", "resume", "run")
}


def given_path(text: str) -> Path:
    """Convert an argument to a path, refusing an empty one, as of an unset variable: it would be the current folder."""
    return Path(given_name(text))


def given_name(text: str) -> str:
    """Return a path argument as given, with the trailing slash that `Path` drops, refusing an empty one."""
    if not text:
        raise typer.BadParameter("an empty name")
    return text


Quiet = Annotated[bool, Option("Print results, warnings and errors only.", RUNNING)]
Json = Annotated[bool, Option("Print JSON Lines for other programs, as the docs describe.", RUNNING, flags="--json")]


def command(*kinds: type, first: str) -> Callable[[_Function], _Function]:
    """Declare the options of a command; `with_options` makes its parameters when the command is loaded.

    Args:
        kinds: dataclasses of options; the given values are passed as the function's first argument, as `Given`.
        first: names of the most needed parameters, which the help shows before its panels, in this order.
    """

    def declare(function: _Function) -> _Function:
        vars(function)["declared"] = kinds, first.split()
        return function

    return declare


def with_options(function: _Function) -> _Function:
    """Wrap a function declared by `command` for Typer, with a parameter for each `Option`, its own or a dataclass's."""
    kinds, first = vars(function)["declared"]
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    options = {each.name: found for each in own if (found := option_field(each.name, each.annotation, each.default))}
    options |= {name: each for kind in kinds for name, each in options_of(kind).items()}
    spellings = _PARAMETERS | {name: _spelling(each) for name, each in options.items()}
    parameters = {each.name: each for each in own}
    for name, each in options.items():
        parameters[name] = _parameter(each, spelled(each.help, spellings), is_first=name in first)

    @wraps(function)
    def run(ctx: typer.Context, **values: Any) -> None:
        given = _given(ctx, values, options)
        of_kinds = {kind: {name: given[name] for name in options_of(kind) if name in given} for kind in kinds}
        try:
            function(of_kinds, **{each.name: given.get(each.name, values[each.name]) for each in own})
        except ReaderGoneError as error:
            if values.get("dry_run"):
                raise
            raise error.of_work() from error

    rest = [name for name in parameters if name not in first]
    rest.sort(key=lambda name: name in options and options[name].option.panel == RUNNING)
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    ordered = [context, *(parameters[name].replace(kind=context.kind) for name in (*first, *rest))]
    run.__annotations__ = {each.name: each.annotation for each in ordered}
    vars(run)["__signature__"] = inspect.Signature(ordered)
    vars(run)["hidden"] = {name: list(map(_dashed, each.option.formerly)) for name, each in options.items()}
    return run


class WithoutTypes:
    """Mixin of commands and groups that hides Python's types in their help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all arguments and options, including --help, without types."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in params:
            if parameter.param_type_name == "argument":
                vars(parameter)["display_type_rich"] = lambda ctx: None  # or the help says <list[Path]>
            elif parameter.is_flag:
                parameter.metavar = ""
        return params


class Command(WithoutTypes, typer.core.TyperCommand):
    """A command that also accepts the former spellings of its options, without showing them."""

    def make_parser(self, ctx: Any) -> Any:
        """Make the parser, with the former spellings."""
        parser = super().make_parser(ctx)
        for parameter in self.params:
            if spellings := vars(self.callback).get("hidden", {}).get(parameter.name):
                old = copy.copy(parameter)
                old.opts, old.secondary_opts = spellings, []
                old.add_to_parser(parser, ctx)
        return parser


def spelled(text: str, spellings: Mapping[str, str] | None = None) -> str:
    """Replace the parameters in a text of the library by their spellings on the command line.

    Args:
        text: text with parameters in backticks: "`size`" becomes --size, "`loss=bins`" --loss bins.
        spellings: spellings by parameter name; by default those of all commands.
    """

    def option(found: re.Match[str]) -> str:
        known = all_spellings() if spellings is None else spellings
        name, value = found[1], found[2]
        return found[0] if name not in known else f"{known[name]} {value}" if value else known[name]

    return re.sub(r"`(\w+)(?:=([^`]+))?`", option, text)


@cache
def all_spellings() -> Mapping[str, str]:
    """Return the command-line spelling of each parameter of the library, which is the same in all commands."""
    kinds = [getattr(import_module(f"colorgan.{module}"), name) for module, name in _KINDS]
    return _PARAMETERS | {name: _spelling(each) for kind in kinds for name, each in options_of(kind).items()}


def option_of(parameter: str) -> str:
    """Return the command-line spelling of a parameter of the library."""
    return all_spellings().get(parameter, _dashed(parameter))


def _given(ctx: Any, values: Mapping[str, Any], options: Mapping[str, OptionField]) -> dict[str, Any]:
    """Return the parsed and checked values of the options given on the command line or in the environment."""
    given = {}
    for name, each in options.items():
        source = ctx.get_parameter_source(name)
        if source and source.name != "DEFAULT":
            try:
                given[name] = _parsed(each, values[name])
            except typer.BadParameter as error:
                raise typer.BadParameter(error.message, param_hint=f"'{_spelling(each)}'") from error
            each.check(given[name])
    return given


def _parsed(each: OptionField, value: Any) -> Any:
    if each.option.parse:
        return each.option.parse(value)
    if each.choices:
        return next((choice for choice in each.choices if str(choice) == value), value)
    return tuple(value) if get_origin(each.kinds[0]) is tuple else value


def _completion(each: OptionField) -> Callable[[str], list[str]] | None:
    """Return the completion of an option's values; None leaves it to the shell, which completes files."""

    def complete_choice(incomplete: str) -> list[str]:
        return [str(choice) for choice in each.choices if str(choice).startswith(incomplete)]

    return complete_choice if each.choices else _COMPLETIONS.get(each.option.completes)


def _complete_model(incomplete: str) -> list[str]:
    """Return the model names and files of weights that start with a prefix."""
    from colorgan.models.registry import NAMED_MODELS  # late: its import takes as long as typer's

    found = sorted(glob.glob(glob.escape(incomplete) + "*"))  # noqa: PTH207
    weights = [path for path in found if path.lower().endswith(SAFETENSORS_SUFFIXES + TORCH_SUFFIXES)]
    return [name for name in NAMED_MODELS if name.startswith(incomplete)] + list(filter(os.path.isfile, weights))


def _complete_models(incomplete: str) -> list[str]:
    """Complete the last of several comma-separated models."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in _complete_model(last)]


def _complete_start(incomplete: str) -> list[str]:
    """Complete the start of a training: a model, or `scratch`."""
    return _complete_model(incomplete) + [name for name in ("scratch",) if name.startswith(incomplete)]


_COMPLETIONS = {"model": _complete_model, "models": _complete_models, "start": _complete_start}


def _parameter(each: OptionField, text: str, *, is_first: bool) -> inspect.Parameter:
    """Return the parameter of an option for Typer."""
    option, kind = each.option, each.kinds[0]
    if option.parse or each.choices:
        kind = list[str] if option.repeated else str
    elif get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]  # type: ignore[misc]
    is_path, is_several = kind in (Path, list[Path]), get_origin(kind) is list
    info = typer.Option(
        *each.spellings,
        help=text,
        envvar=option.variable or None,
        metavar=option.metavar or option.unit.upper() or ("PATH" if is_path else _metavar(each)),
        show_default=option.unset or True,
        autocompletion=_completion(each),
        parser=given_path if is_path else None,
        rich_help_panel=None if is_first else option.panel,
    )
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=[] if is_several and not each.default else each.default,
        annotation=Annotated[kind | None if each.optional else kind, info],
    )


def _metavar(each: OptionField) -> str:
    return "NAME" if each.choices else "NUMBER" if each.is_number else "TEXT"


def _spelling(each: OptionField) -> str:
    """Return the spelling that changes the default: of a switch that is on by default, the --no- form."""
    on, _, off = each.spellings[0].partition("/")
    return off if each.default is True else on


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")

"""Options are dataclasses: each is typed once, and checked when it is made.

A field made by ``option`` is a flag of the command line, too: ``add_options`` gives a parser the
flags of a class, and ``options_of`` makes the class of what was parsed.
"""

import argparse
import dataclasses
import types
from collections.abc import Callable, Collection
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from posegan_jax.errors import OptionError

T = TypeVar("T")

_KINDS = {int: "whole number", float: "number"}


def option(default: Any, help: str, **flag: Any) -> Any:
    """A field of a dataclass that is a flag of the command line.

    Args:
      default: the field's.
      help: what the flag says of itself; '%(default)s' stands for the default.
      flag: ``name`` where the flag is not called as the field is, ``alias`` for a second name, and
        arguments of ``ArgumentParser.add_argument`` that do not follow from the field's type.
    """
    return dataclasses.field(default=default, metadata={"help": help, **flag})


# --- checks ---------------------------------------------------------------------------------------


def require(good: bool, name: str, rule: str, value: Any) -> None:
    """Raises OptionError, '{name} must be {rule}, not {value}', where a value is not good."""
    if not good:
        raise OptionError(name, f"must be {rule}, not {value!r}")


def check_least(options: Any, least: float, *names: str) -> None:
    """Raises OptionError where one of these fields is below a number; None is not."""
    for name in names:
        value = getattr(options, name)
        require(value is None or value >= least, name, f"{least} or more", value)


def check_shares(options: Any, *names: str) -> None:
    """Raises OptionError where one of these fields is no probability."""
    for name in names:
        value = getattr(options, name)
        require(0 <= value <= 1, name, "from 0 to 1", value)


def check_ranges(options: Any, *names: str) -> None:
    """Raises OptionError where one of these fields is no pair of numbers, the lower one first."""
    for name in names:
        ends = getattr(options, name)
        good = len([v for v in ends if isinstance(v, int | float)]) == len(ends) == 2
        require(good and ends[0] <= ends[1], name, "two numbers, the lower one first", ends)


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raises OptionError where a value is none of the choices."""
    *others, last = map(repr, choices)
    rule = f"{', '.join(others)} or {last}" if others else last
    require(value in choices, name, rule, value)


def check_choices(options: Any) -> None:
    """Raises OptionError where a field is none of its ``Literal``, or one in a tuple of them."""
    for name, hint in get_type_hints(type(options)).items():
        values = (getattr(options, name),)
        if get_origin(hint) is tuple:
            hint, values = get_args(hint)[0], values[0]
        if get_origin(hint) is Literal:
            for value in values:
                check_choice(name, value, get_args(hint))


# --- the command line -----------------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser, cls: type, *names: str) -> None:
    """Gives a parser the flags of a dataclass, or of these fields of it."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.metadata and (not names or field.name in names):
            flag = {**_typed(hints[field.name]), **field.metadata}
            names_of = [flag.pop("name", field.name), flag.pop("alias", None)]
            flags = [_dashed(name) for name in names_of if name]
            parser.add_argument(*flags, dest=field.name, default=field.default, **flag)


def options_of(cls: Callable[..., T], parsed: argparse.Namespace) -> T:
    """The options of a class that were parsed, with the defaults of those that are no flags.

    A value that the class refuses is a mistake like any other that ``parsed.parser`` finds.
    """
    fields = dataclasses.fields(cast(Any, cls))
    given = {f.name: getattr(parsed, f.name) for f in fields if hasattr(parsed, f.name)}
    try:
        return cls(**given)
    except OptionError as error:
        flags = {field.name: field.metadata.get("name", field.name) for field in fields}
        parser: argparse.ArgumentParser = parsed.parser
        parser.error(f"{error.named(_dashed(flags[error.name]))}")


def names(text: str) -> tuple[str, ...]:
    """'a,b' -> ('a', 'b'); spaces do not count."""
    return tuple(part for part in text.replace(",", " ").split() if part)


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")


def _typed(hint: Any) -> dict[str, Any]:
    """What ``add_argument`` is told of a type."""
    if get_origin(hint) in (Union, types.UnionType):  # with None
        hint, _ = get_args(hint)
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if get_origin(hint) is tuple:
        return {"type": names, "metavar": "NAME[,NAME...]"}
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    return {"type": _number(hint)} if hint in _KINDS else {}


def _number(kind: type) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no {_KINDS[kind]}") from None

    return parse

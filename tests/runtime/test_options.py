"""Dataclasses as flags of a command line, and their checks."""

import argparse
import dataclasses
import pickle
from typing import Literal

import pytest

from posegan_jax.errors import InputError, OptionError, whole
from posegan_jax.runtime.options import (
    add_options,
    check_choices,
    check_least,
    names,
    option,
    options_of,
    require,
)

Colour = Literal["red", "green", "blue"]


@dataclasses.dataclass(frozen=True)
class Options:
    colour: Colour = option("red", "of the line (default: %(default)s)")
    colours: tuple[Colour, ...] = option(("red", "blue"), "of the others", name="other-colour")
    width: int | None = option(None, "in pixels")
    dash_length: float = option(1.5, "in widths (default: %(default)g)")
    visible: bool = option(True, "whether it is drawn")
    label: str = option("", "beside it", metavar="TEXT")
    place: tuple[float, float] | None = option(
        None, "of its end", type=lambda text: tuple(map(float, text.split("x"))), metavar="XxY"
    )
    internal: int = 7  # no flag

    def __post_init__(self):
        check_choices(self)
        check_least(self, 1, "width", "dash_length")


def parse(*arguments, fields=()):
    parser = argparse.ArgumentParser(prog="draw")
    parser.set_defaults(parser=parser)
    add_options(parser, Options, *fields)
    return options_of(Options, parser.parse_args(arguments))


def test_defaults_are_those_of_the_class():
    assert parse() == Options()


def test_every_kind_of_field_is_a_flag():
    given = parse(
        "--colour", "blue", "--other-colour", "green,red", "--width", "3", "--dash-length", "2.5",
        "--no-visible", "--label", "a,b", "--place", "3x4",
    )
    assert given == Options("blue", ("green", "red"), 3, 2.5, False, "a,b", (3.0, 4.0))


def test_some_of_the_fields(capsys):
    assert parse("--width", "3", fields=("width", "colour")) == Options(width=3)
    for unknown in ("--label", "--internal"):
        with pytest.raises(SystemExit):
            parse(unknown, "3", fields=("width", "colour"))


def test_help_tells_texts_choices_and_defaults(capsys):
    with pytest.raises(SystemExit, match="0"):
        parse("--help")
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "--colour {red,green,blue} of the line (default: red)", "--label TEXT beside it",
        "--dash-length DASH_LENGTH in widths (default: 1.5)", "--visible, --no-visible",
        "--other-colour NAME[,NAME...] of the others",
    ):
        assert text in said


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("--width", "0"), "--width must be 1 or more, not 0"),
        (("--dash-length", "-1"), "--dash-length must be 1 or more, not -1.0"),
        (("--width", "wide"), "argument --width: 'wide' is no whole number"),
        (("--dash-length", "long"), "argument --dash-length: 'long' is no number"),
        (("--colour", "pink"), "argument --colour: invalid choice: 'pink'"),
        (
            ("--other-colour", "red,pink"),
            "--other-colour must be 'red', 'green' or 'blue', not 'pink'",
        ),
    ],
)
def test_mistakes_name_the_flag(arguments, named, capsys):
    with pytest.raises(SystemExit, match="2"):
        parse(*arguments)
    assert f"draw: error: {named}" in capsys.readouterr().err


def test_mistakes_from_python_name_the_field():
    with pytest.raises(OptionError, match="^colours must be 'red', 'green' or 'blue', not 'x'$"):
        Options(colours=("red", "x"))
    with pytest.raises(InputError, match="^width must be 1 or more, not 0$"):
        Options(width=0)
    with pytest.raises(InputError, match="^count must be a whole number, not 1.5$"):
        whole("count", 1.5)


def test_a_mistake_gets_another_name_and_goes_to_other_processes():
    with pytest.raises(OptionError) as caught:
        require(False, "steps", "even", 3)
    error = caught.value.named("config.train.steps")
    assert str(error) == "config.train.steps must be even, not 3"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is OptionError and str(again) == str(error) and again.name == error.name


def test_names_with_commas():
    assert names("a,b, c") == ("a", "b", "c") == names("a b c,")
    assert names("") == ()

"""Plain command lines are read without argparse, and mean the same."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.__main__ import parser
from supervisor.running_options import COMMANDS, plainly

WORDS = sorted({option.flag for options in COMMANDS.values() for option in options})
VALUES = ["", "x", "json", "error", "12", "-1", "a b", "-", "--", "-a b", "/x=y", "--help", "127.0.0.1:1", "boot"]


def lines() -> st.SearchStrategy[list[str]]:
    flag = st.sampled_from(WORDS)
    value = st.sampled_from(VALUES)
    piece = st.one_of(
        st.tuples(flag, value),
        st.builds(lambda flag, value: (f"{flag}={value}",), flag, value),
        st.tuples(flag),
        st.tuples(value),
        st.tuples(flag.map(lambda text: text[:-2])),
    )
    pieces = st.lists(piece, max_size=5).map(lambda all_: [word for one in all_ for word in one])
    return st.builds(lambda command, rest: [command, *rest], st.sampled_from(sorted(COMMANDS)), pieces)


@given(lines())
def test_what_is_read_plainly_is_what_argparse_reads(line: list[str]) -> None:
    if (plain := plainly(line)) is not None:
        assert vars(parser(line).parse_args(line)) | {"run_dir": plain.run_dir} == vars(plain)


def spelled() -> Iterator[list[str]]:
    yield ["boot"]
    yield ["watch", "--all", "--dry-run"]
    for command, options in COMMANDS.items():
        for option in options:
            value = option.choices[0] if option.choices else "12"
            yield [command, option.flag, value] if option.metavar else [command, option.flag]
            if option.metavar:
                yield [command, f"{option.flag}={value}", f"{option.flag}={value}"]


@pytest.mark.parametrize("line", list(spelled()), ids=" ".join)
def test_every_option_can_be_read_plainly(line: list[str]) -> None:
    plain, read = plainly(line), vars(parser(line).parse_args(line))
    assert plain is not None
    assert {"run_dir": plain.run_dir} | read == vars(plain)


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["status"],
        ["--run-dir", "x", "boot"],
        ["boot", "--help"],
        ["boot", "--conf", "x"],
        ["boot", "--config"],
        ["boot", "--config", "--engine"],
        ["boot", "--metrics-units", "many"],
        ["boot", "--log-level", "loud"],
        ["boot", "x"],
        ["watch", "--all=yes"],
        ["watch", "--config", "x"],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_argparse(line: list[str]) -> None:
    assert plainly(line) is None


def test_a_supervisor_never_loads_argparse() -> None:
    program = (
        "import sys; from supervisor.__main__ import main; sys.exit('argparse' in sys.modules"
        " or main(['boot', '--config', '/nowhere', '--engine', 'unix:///nowhere']) != 78 or 'argparse' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

"""What the system refuses and what a person mistypes is answered in one way everywhere."""

import errno
import os
import ssl

import pytest

from supervisor.os_errors import cannot, reason, why
from units.words import did_you_mean


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "whatever a library says"), "No space left on device"),
        (OSError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError("no number"), "no number"),
        (OSError(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL: X] wrong"), "[SSL: X] wrong"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_system_s_words_count(error: Exception, said: str) -> None:
    assert why(error) == said
    assert reason(error) == said[0].lower() + said[1:]


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.EDQUOT, "free some space there, or look elsewhere"),
        (errno.EACCES, "run as root, or look elsewhere"),
        (errno.ENOTDIR, "look elsewhere"),
        (errno.EIO, "look at the disk, or look elsewhere"),
        (errno.ENOENT, "make it, or look elsewhere"),
    ],
)
def test_a_refusal_has_its_way_out(code: int, way_out: str) -> None:
    """The usual one, or that of the place."""
    told = cannot("read /x", OSError(code, "?"), "look elsewhere", {errno.ENOENT: "make it, or {}"})
    assert told == f"cannot read /x: {os.strerror(code)}; {way_out}"


def test_a_guess_is_made_where_a_known_word_is_near() -> None:
    assert did_you_mean("strat", ["stop", "start", "status"]) == "did you mean 'start'?"
    assert did_you_mean("strat", ["stop", "start", "status"], 3) == "did you mean 'start' or 'status'?"
    assert did_you_mean("x" * 10_000, ["stop"]) == ""

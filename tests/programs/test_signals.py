"""A test that ends a program by SIGINT does so from a background shell, too."""

import signal
import subprocess
import sys

from tests.bed.engines import REPOSITORY

STARTED_IN_THE_BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
if sys.argv[1] == "heed":
    from tests.bed.signals import heed_signals
    heed_signals()
program = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('lives')"
os.execv(sys.executable, [sys.executable, "-c", program])
"""


def ended(word: str) -> tuple[int, str]:
    command = [sys.executable, "-c", STARTED_IN_THE_BACKGROUND, word]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_program_that_is_started_heeds_sigint() -> None:
    assert ended("heed") == (-signal.SIGINT, "")


def test_without_that_it_would_not() -> None:
    assert ended("ignore") == (0, "lives\n")

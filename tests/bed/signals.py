"""Signals as programs expect to find them, whatever this process inherited."""

import ctypes
import signal
from types import FrameType

INHERITED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""What a shell lets its background jobs ignore, and what nohup does."""
PR_SET_PDEATHSIG = 1


def heed_signals() -> None:
    """Let programs that tests start be ended by these signals; this process itself goes on ignoring them.

    An ignored signal stays ignored in every program that is started; a handled one is at its default there.
    """
    for sign in INHERITED:
        if signal.getsignal(sign) is signal.SIG_IGN:
            signal.signal(sign, _ignore)


def end_with_parent() -> None:
    """This process is killed when the one that started it ends; for workers of a pool, and their beds."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass

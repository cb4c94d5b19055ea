"""Signals as programs expect to find them, whatever this process inherited."""

import signal
from types import FrameType

INHERITED = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""What a shell lets its background jobs ignore, and what nohup does."""


def heed_signals() -> None:
    """Let programs that tests start be ended by these signals; this process itself goes on ignoring them.

    An ignored signal stays ignored in every program that is started; a handled one is at its default there.
    """
    for sign in INHERITED:
        if signal.getsignal(sign) is signal.SIG_IGN:
            signal.signal(sign, _ignore)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass

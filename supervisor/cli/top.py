"""The command ``top``: a live view of the host on a terminal.

It follows the events, and asks for the status when something has happened. No curses: a screen is a list of lines.
"""

import argparse
import contextlib
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from supervisor.http.client import Client, RefusedError, UnreachableError
from supervisor.views.text import BOLD, DIM, GREEN, RED, YELLOW, Screen, clean, clock, cut, since

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from supervisor.views.severity import Level

    Add = Callable[[str, str, str], argparse.ArgumentParser]

OK = 0
PAUSE = 0.25
"""Seconds between two screens, at least."""
LONGEST = 2.0
"""Seconds after which the status is refreshed without an event: a single check causes none."""
AGAIN = 1.0
"""Seconds before a supervisor that is gone is asked again."""
LATELY = 6
"""Events at the foot of the screen, where there is room."""

ENTER = "\033[?1049h\033[?25l\033[?7l"
LEAVE = "\033[?7h\033[?25h\033[?1049l"


def add_commands(add: "Add") -> None:
    add("top", "show the host live, what needs attention first; q quits", "top")


def run(client: Client, args: argparse.Namespace, show_json: "Callable[[Any], None]") -> int:
    if args.json:
        show_json(client.get("status"))
        return OK
    screen = Screen.of_stdout()
    if not screen.terminal or not sys.stdin.isatty():
        for line in frame(screen, client.get("status"), (), (screen.width, 0), time.time()):
            screen.line(line)
        return OK
    client.get("status")  # A supervisor that is not there is told before the screen is taken.
    with terminal(screen) as keys:
        _Top(client, screen, keys).run()
    return OK


# What is shown. Pure.


def frame(
    screen: Screen, answer: Mapping[str, Any], lately: Sequence[str], size: tuple[int, int], now: float
) -> list[str]:
    """The screen as lines, none longer than it is wide. A size of 0: as much as there is."""
    from supervisor.views.severity import headline, in_order  # noqa: PLC0415 - only this command ranks

    width, height = size
    head = headline(answer["engine"], answer["supervisor"], answer["units"], answer["switch"]["now"])
    when = f"since {clock(head.since)}" if head.since else ""
    because = ": ".join(part for part in (when, head.reason) if part)
    top = [
        paint(screen, head.level, fitted(f"{mark(screen, head.level)} {clean(head.text)}", width), bold=True),
        fitted(f"  {clean(because)}".rstrip(), width),
        fitted(f"  {clean(_places(answer))}", width),
        "",
    ]
    units = _rows(screen, in_order(answer["units"]), width, now)
    foot = [screen.paint(fitted(clean(line), width), DIM) for line in lately]
    if not height:
        return top + units + (["", *foot] if foot else [])
    room = height - len(top)
    foot = foot[-max(min(len(foot), room - len(units) - 1), 0) :] if room - len(units) > 1 and foot else []
    shown = units[: room - (len(foot) + 1 if foot else 0)]
    if len(shown) < len(units):
        shown[-1:] = [screen.paint(f"  and {len(units) - len(shown) + 1} more", DIM)]
    gap = [""] * (room - len(shown) - len(foot)) if foot else []
    return [*top, *shown, *gap, *foot][:height]


def _places(answer: Mapping[str, Any]) -> str:
    engine, console, docker = answer["engine"], answer["console"], answer["user_docker"]
    said = [f"engine {'up' if engine['up'] else 'down'} {engine['version'] or ''}".rstrip()]
    if console is not None:
        said.append(f"console {console['current'] or 'none'}")
    if docker is not None:
        said.append(f"user Docker {docker['state']} in {docker['context']}")
    return ", ".join([*said, f"supervisor {answer['supervisor']['version']}"])


def _rows(screen: Screen, units: Sequence[Mapping[str, Any]], width: int, now: float) -> list[str]:
    from supervisor.views.severity import level  # noqa: PLC0415 - as above

    heads = ("  UNIT", "STATE", "HEALTH", "RESTARTS", "SINCE", "REASON")
    cells: list[tuple[str, ...]] = [
        (
            f"{mark(screen, level(unit))} {clean(unit['name'])}",
            clean(unit["state"]),
            "-" if unit["health"] == "none" else clean(unit["health"]),
            str(unit["restarts"]),
            since(unit["since"], now),
            clean(unit["reason"]),
        )
        for unit in units
    ]
    longest = (max(width // 3, 8) if width else 1000, 13, 9, 8, 11)
    cells = [(*(fitted(cell, most) for cell, most in zip(row, longest, strict=False)), row[-1]) for row in cells]
    wide = [max(len(row[i]) for row in (heads, *cells)) for i in range(len(heads) - 1)]

    def line(row: Sequence[str]) -> str:
        return fitted(
            "  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[-1]]).rstrip(), width
        )

    return [screen.paint(line(heads), BOLD)] + [
        paint(screen, level(unit), line(row)) for unit, row in zip(units, cells, strict=True)
    ]


def paint(screen: Screen, level: "Level", text: str, *, bold: bool = False) -> str:
    """Only the mark of a healthy unit is coloured, so that problems stand out."""
    colour = {"needs-you": RED, "on-its-way": YELLOW, "aside": DIM}.get(level.word)
    if colour is None:
        return screen.paint(text[:1], GREEN) + (screen.paint(text[1:], BOLD) if bold else text[1:])
    return screen.paint(text, f"{BOLD};{colour}" if bold else colour)


def mark(screen: Screen, level: "Level") -> str:
    from supervisor.views.severity import ASCII_MARKS  # noqa: PLC0415 - as above

    encoding = (screen.stream.encoding or "ascii").lower().replace("-", "")
    return level.mark if encoding.startswith("utf") else ASCII_MARKS[level]


def fitted(text: str, width: int) -> str:
    """``width`` 0: there is no bound."""
    return cut(text, width) if width else text


def event_line(event: Mapping[str, Any]) -> str:
    """One event as a line; empty for events that are not shown."""
    if event.get("event") == "unit.transition":
        what = f"{event.get('unit')}  {event.get('before')} -> {event.get('after')}"
    elif event.get("event") in {"unit.fact", "dropped"}:
        return ""
    else:
        what = str(event.get("event"))
    reason = f": {event['reason']}" if event.get("reason") else ""
    return clean(f"{clock(event.get('time'))}  {what}{reason}")


# The terminal.


@contextlib.contextmanager
def terminal(screen: Screen) -> Iterator[int]:
    """Alternate screen, no cursor, unbuffered keys; restored on every exit, and while the process is stopped.

    Yields a file that can be read when a key was pressed or a signal came.
    """
    import termios  # noqa: PLC0415 - only here, and not everywhere
    import tty  # noqa: PLC0415 - as above

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    woken, wake = os.pipe2(os.O_NONBLOCK)

    def enter() -> None:
        tty.setcbreak(keyboard)
        screen.stream.write(ENTER)
        screen.flush()

    def leave() -> None:
        screen.stream.write(LEAVE)
        screen.flush()
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

    def end(number: int, _frame: "FrameType | None") -> None:
        raise SystemExit(128 + number)

    def pause(_number: int, _frame: "FrameType | None") -> None:
        leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        enter()

    handlers: dict[int, Any] = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGTSTP: pause}
    handlers[signal.SIGWINCH] = lambda *_: None  # Only wakes.
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    old_wake = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        enter()
        yield woken
    finally:
        with contextlib.suppress(OSError, termios.error):
            leave()
        signal.set_wakeup_fd(old_wake)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(wake)


class _Top:
    """One run of it on a terminal."""

    def __init__(self, client: Client, screen: Screen, woken: int) -> None:
        self._client = client
        self._screen = screen
        self._woken = woken
        self._news, self._tell = os.pipe2(os.O_NONBLOCK)
        self._lately: deque[str] = deque(maxlen=LATELY)
        self._answer: Mapping[str, Any] = client.get("status")
        self._trouble = ""

    def run(self) -> None:
        threading.Thread(target=self._follow, daemon=True).start()
        asked = drawn = time.monotonic()
        dirty = True
        self._draw()
        while True:
            now = time.monotonic()
            wait = max(drawn + PAUSE - now, 0.0) if dirty else max(drawn + 1.0 - now, 0.0)
            ready = select.select([sys.stdin, self._woken, self._news], [], [], wait)[0]
            if sys.stdin in ready and os.read(sys.stdin.fileno(), 64).lower()[:1] in {b"q", b"", b"\x1b", b"\x04"}:
                return
            for pipe in (self._woken, self._news):
                if pipe in ready:
                    os.read(pipe, 4096)
                    dirty = True
            now = time.monotonic()
            if now - drawn < PAUSE:
                continue
            if dirty or now - asked > LONGEST:
                self._ask()
                asked = time.monotonic()
            dirty = False
            self._draw()
            drawn = time.monotonic()

    def _ask(self) -> None:
        try:
            self._answer, self._trouble = self._client.get("status"), ""
        except (UnreachableError, RefusedError) as error:
            self._trouble = f"stale: {error}"  # First what matters: the line may be cut.

    def _follow(self) -> None:
        """In a thread: the stream of events, again and again."""
        while True:
            with contextlib.suppress(UnreachableError, RefusedError):
                for event in self._client.stream("events", follow=1, tail=LATELY):
                    if line := event_line(event):
                        if line not in self._lately:
                            self._lately.append(line)
                        self._wake()
            self._wake()
            time.sleep(AGAIN)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._tell, b"!")

    def _draw(self) -> None:
        width, height = shutil.get_terminal_size()
        last = self._trouble or "q quits"
        lines = frame(self._screen, self._answer, tuple(self._lately), (width, max(height - 1, 5)), time.time())
        lines += [""] * (height - 1 - len(lines))
        colour = RED if self._trouble else DIM
        lines = [*lines[: height - 1], self._screen.paint(fitted(clean(last), width), colour)]
        encoding = self._screen.stream.encoding or "ascii"
        text = "\033[H" + "\r\n".join(f"{line}\033[K" for line in lines) + "\033[J"
        self._screen.stream.write(text.encode(encoding, "replace").decode(encoding))
        self._screen.flush()

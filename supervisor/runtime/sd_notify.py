"""Notifies systemd (``Type=notify``): readiness, status line, watchdog, stopping. See sd_notify(3).

Without ``NOTIFY_SOCKET`` in the environment it does nothing.
"""

import contextlib
import socket
from collections.abc import Callable, Mapping

from units.machine import Moment
from units.world import Entry, Reaction, World

READY_ANYWAY = 20.0
"""Seconds after which readiness is reported although the engine has not answered yet."""
MORE_TIME = 15.0
"""Seconds of each extension that a shutdown asks for while it lasts."""


class Systemd:
    """An observer that the heartbeat also calls once a second."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float], pid: int) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._now = now
        self._started = now()
        self._ready = False
        self._status = ""
        self._watchdog = _watchdog(environ, pid)
        self._fed = self._started
        self._stopping = False

    def observe(self, _entry: Entry, _moment: Moment, reaction: Reaction) -> None:
        if self._address and reaction.world.engine_up and not self._ready:
            self.ready()

    def ready(self) -> None:
        self._ready = True
        self._send("READY=1")

    def beat(self, world: World) -> None:
        """Called from the event loop, and so only while that turns."""
        if not self._address:
            return
        now = self._now()
        if not self._ready and now - self._started >= READY_ANYWAY:
            self.ready()
        if self._watchdog and now - self._fed >= self._watchdog / 3:
            self._fed = now
            self._send("WATCHDOG=1")
        if (said := in_short(world)) != self._status:
            self._status = said
            self._send(f"STATUS={said}")
        if world.draining:
            stopping = "" if self._stopping else "STOPPING=1\n"
            self._stopping = True
            self._send(f"{stopping}EXTEND_TIMEOUT_USEC={int(MORE_TIME * 1e6)}")

    def _send(self, text: str) -> None:
        """Send without waiting; errors are ignored."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), self._address)


def in_short(world: World) -> str:
    """The state of the host in one line."""
    if world.draining:
        return "shutting down"
    if not world.serving:
        return f"no engine: {world.engine_reason}"
    units = world.units.values()
    up = sum(unit.phase.arrived for unit in units)
    bad = sorted(unit.name for unit in units if unit.phase.stuck)
    trouble = f"; needs attention: {', '.join(bad[:5])}" if bad else ""
    lacking = f"; trouble: {', '.join(sorted(world.troubles))}" if world.troubles else ""
    return f"{up} of {len(world.units)} units up{trouble}{lacking}"


def _watchdog(environ: Mapping[str, str], pid: int) -> float:
    """Seconds of systemd's watchdog; 0: none."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return 0.0
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() else 0.0

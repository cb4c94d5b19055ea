"""The process in which hooks run, isolated from the supervisor: ``python -m hooks.child FD``.

It speaks JSON lines over the socket FD. Each call of a hook has its own thread, an async one with an event loop in it:
so a hook that blocks does not delay others, and is known when the process must be killed.
"""

import asyncio
import contextlib
import contextvars
import ctypes
import faulthandler
import importlib.machinery
import importlib.util
import inspect
import io
import json
import os
import resource
import socket
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import entry_points
from typing import Any

from hooks.command import outcome
from hooks.errors import NotToldError
from hooks.happenings import ALL
from hooks.marks import HookMark, marks_of
from hooks.points import POINTS, Contribution, Veto, answer_of

MEMORY = 512 * 2**20
"""Bytes of private memory for all Python hooks together; beyond that they get a MemoryError."""
STACK = 2**20
KEPT = 4096
"""Bytes of a call's output, and of its exception, that are reported."""
NICE = 10
LAST = 1.0
"""Seconds for executables to end when the supervisor is gone."""

_printed: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("printed", default=None)


class Printed(io.TextIOBase):
    """Replaces standard output and error: keeps up to KEPT bytes for each call, and drops the rest."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        kept = _printed.get()
        if kept is not None and (room := KEPT - sum(map(len, kept))) > 0:
            kept.append(text[:room])
        return len(text)


class Channel:
    """Sends answers to the supervisor; thread-safe."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._turn = threading.Lock()

    def tell(self, **message: Any) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        with self._turn:
            self._connection.sendall(line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Until the supervisor is gone."""
        with self._connection.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)


class ChildHooks:
    """All Python hooks of the host, by name."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._found: dict[str, Callable[[Any], Any]] = {}
        self._refused: list[tuple[str, str]] = []
        self._programs: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
        """Executables that run."""

    def load(self, files: Mapping[str, str], entry_points: list[str]) -> None:
        """Import the files one by one, announcing each first, as an import may end the process."""
        if files or entry_points:
            # Never outlive the supervisor, even when a hook keeps this thread from noticing its end.
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
        for name, path in files.items():
            self._import(name, lambda path=path: _import_file(path))  # type: ignore[misc]
        for point in _entry_points(entry_points):
            self._import(point.name, point.load)
        hooks = [
            {"name": name, "marks": [asdict(mark) for mark in marks_of(function)]}
            for name, function in self._found.items()
        ]
        self._channel.tell(loaded=hooks, refused=self._refused)

    def _import(self, name: str, load: Callable[[], Any]) -> None:
        self._channel.tell(importing=name)
        printed: list[str] = []
        before = _printed.set(printed)
        try:
            found = _functions(load())
        except BaseException as error:  # noqa: BLE001 - whatever it raises, it is the file's defect
            self._refused.append((name, _said(error, printed)))
            return
        finally:
            _printed.reset(before)
        if not found:
            self._refused.append((name, "it has no function with @on or @gate"))
        for key, function in found.items():
            self._found[f"{name}:{key}"] = function

    def run(self, number: int, words: list[str], environment: dict[str, str], text: str, limit: float) -> None:
        """Run an executable in its own thread, and report its end."""
        arguments = (number, words, environment, text, limit)
        threading.Thread(target=self._run, args=arguments, name=words[0], daemon=True).start()

    def _run(self, number: int, words: list[str], environment: dict[str, str], text: str, limit: float) -> None:
        code, output, error = 0, "", ""
        try:
            code, output = asyncio.run(self._outcome(words, environment, text, limit))
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the supervisor has to hear of it
            error = _said(raised, [])
        with contextlib.suppress(OSError):  # It is gone, and this was ended for that.
            self._channel.tell(ended=number, error=error, output=output, answer=code)

    async def _outcome(self, words: list[str], environment: dict[str, str], text: str, limit: float) -> tuple[int, str]:
        task = asyncio.current_task()
        assert task is not None
        mine = asyncio.get_running_loop(), task
        self._programs.append(mine)
        try:
            return await outcome(words, environment, text, limit)
        finally:
            self._programs.remove(mine)

    def end(self) -> None:
        """Kill running executables with their process groups."""
        for loop, task in list(self._programs):
            with contextlib.suppress(RuntimeError):  # It has ended by itself just now.
                loop.call_soon_threadsafe(task.cancel)
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and thread.name.startswith("/"):
                thread.join(LAST)

    def call(self, number: int, name: str, told: dict[str, Any]) -> None:
        """Run a call in its own thread, and report its end."""
        arguments = (number, self._found[name], told)
        threading.Thread(target=self._call, args=arguments, name=name, daemon=True).start()

    def _call(self, number: int, function: Callable[[Any], Any], told: dict[str, Any]) -> None:
        printed: list[str] = []
        _printed.set(printed)
        answer, error = None, ""
        try:
            marks = marks_of(function)
            answer = _answer(_call(function, _revive(told), max(mark.timeout for mark in marks)), marks)
        except BaseException as raised:  # noqa: BLE001 - also SystemExit: it is the hook's defect, and no more
            error = _said(raised, printed)
        self._channel.tell(ended=number, error=error, output="".join(printed).strip(), answer=answer)


def _call(function: Callable[[Any], Any], argument: Any, timeout: float) -> Any:
    if not inspect.iscoroutinefunction(function):
        return function(argument)

    async def within() -> Any:
        async with asyncio.timeout(timeout):
            return await function(argument)

    return asyncio.run(within())


def _answer(given: Any, marks: tuple[HookMark, ...]) -> Any:
    """A gate's answer as JSON. Raises ValueError for an invalid one."""
    if not marks[0].gate or given is None:
        return None
    if isinstance(given, Veto):
        return {"veto": str(given.reason)}
    if not isinstance(given, Contribution):
        raise ValueError(f"a gate must return None, Veto or Contribution, not {type(given).__name__}")  # noqa: TRY004
    told = {"environment": dict(given.environment), "mounts": list(given.mounts)}
    answer_of(told)
    return told


def _revive(told: dict[str, Any]) -> Any:
    """Decode an event or a question."""
    fields = dict(told)
    kinds: Mapping[str, type[Any]] = ALL if "event" in fields else POINTS
    return kinds[fields.pop("event", None) or fields.pop("point")](**fields)


class _AsItIs(importlib.machinery.SourceFileLoader):
    """Compile without caches, which miss a file that was changed twice within a second."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _import_file(path: str) -> Any:
    """Import the file as a module with a unique name."""
    name = f"hooks_d_{os.path.basename(path).removesuffix('.py')}"  # noqa: PTH119
    spec = importlib.util.spec_from_loader(name, _AsItIs(name, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _functions(thing: Any) -> dict[str, Callable[[Any], Any]]:
    """The decorated function itself, or all of a module, by name."""
    if marks_of(thing):
        return {getattr(thing, "__name__", "hook"): thing}
    return {key: value for key, value in vars(thing).items() if marks_of(value)}


def _entry_points(names: list[str]) -> list[Any]:
    return [point for point in entry_points(group="dockwarden.hooks") if point.name in names] if names else []


def _said(error: BaseException, printed: list[str]) -> str:
    """The exception in one line, its location, and the call's output."""
    if isinstance(error, TimeoutError) and not str(error):
        return "did not end in time"
    if isinstance(error, NotToldError):
        return str(error)[:KEPT]
    text = traceback.format_exception_only(error)[-1].strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    where = [frame for frame in frames if "importlib" not in frame.filename][-1:]
    text += "".join(f" ({frame.filename}:{frame.lineno})" for frame in where)
    said = "".join(printed).strip()
    return (text + (f"; printed: {said}" if said else ""))[:KEPT]


def _be_expendable() -> None:
    """Lower the priority, and make this process the first victim of the OOM killer."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("1000")
    threading.stack_size(STACK)
    last_words = os.dup(2)
    faulthandler.enable(last_words)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nothing, fd)  # What its own children print; else a flood of it would be somebody's to read.
    sys.stdout = sys.stderr = Printed()


def main() -> None:
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    _be_expendable()
    channel = Channel(socket.socket(fileno=fd))
    hooks = ChildHooks(channel)
    for message in channel.lines():
        match message:
            case {"load": files, "entry_points": points}:
                hooks.load(files, points)
            case {"call": number, "hook": name, "told": told}:
                hooks.call(number, name, told)
            case {"call": number, "words": words, "environment": environment, "text": text, "limit": limit}:
                hooks.run(number, words, environment, text, limit)
            case _:
                channel.tell(pong=0)
    hooks.end()
    os._exit(0)


if __name__ == "__main__":
    main()

"""All hooks of the host: loads them, sends them events, and asks gates.

Only gates are waited for: a hook that is slow, fails or hangs loses its own events, and delays no restart.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hooks import command
from hooks.errors import Guarded, NotToldError, UnknownHookError
from hooks.folder import Found, Hook, find
from hooks.gates import Gate, GateVerdict, ask_all
from hooks.happenings import Happened, happenings, sample
from hooks.line import QUEUE, Count, HookQueue
from hooks.points import POINTS, Answer, Asked, Veto, answer_of
from hooks.points import sample as sample_question
from hooks.switched_off import SwitchedOff
from units.machine import Moment
from units.world import Entry, Reaction

if TYPE_CHECKING:
    from hooks.interpreter import Ended
    from hooks.python import PythonHooks

NOT_RUN = frozenset({126, 127})
"""A shell's exit codes for what could not be run: no answer of a gate."""


class HookRunner:
    """An observer and gatekeeper. ``count``: called at each run's end; ``wall``: seconds since 1970.

    ``switched_off``: where it is kept which hooks are. ``entry_points``: of packages that bring hooks, by name.
    ``know``: called with the gates' points whenever they have changed.
    """

    def __init__(
        self,
        folder: Path,
        count: Count,
        log: Any,
        wall: Callable[[], float],
        switched_off: Path,
        *,
        entry_points: tuple[str, ...] = (),
        know: Callable[[Guarded], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._count = count
        self._log = log
        self._wall = wall
        self._off_file = SwitchedOff(switched_off)
        self._off: frozenset[str] = frozenset()
        self._lines: dict[str, HookQueue] = {}
        self._gates: dict[str, Gate] = {}
        self._refused: tuple[tuple[str, str], ...] = ()
        self._files: PythonHooks | None = None
        """Runs the executables."""
        self._python: PythonHooks | None = None
        self._leaving: list[PythonHooks] = []
        """Hooks from before a reload that may still run."""
        self._early: deque[Happened] = deque(maxlen=QUEUE)
        """Events from before the Python hooks are loaded."""
        self._loading: asyncio.Task[None] | None = None
        self._know = know
        self.guarded: Guarded = ()
        self.reload(entry_points)

    def reload(self, entry_points: tuple[str, ...] = ()) -> None:
        """Read the hooks' directory again. Those that stay keep what waits for them."""
        found = find(self._folder)
        self._off = self._off_file.names()
        later = bool(found.python or entry_points)
        self._settle(found, None if later else {}, found.refused)
        if self._loading is not None:
            self._loading.cancel()
        self._loading = None
        if later:
            self._early.clear()
            self._loading = asyncio.get_running_loop().create_task(
                self._load(found, entry_points), name="python-hooks-load"
            )
            self._loading.add_done_callback(lambda _: self._know_gates())
        else:
            self._replace(None)
        self._know_gates()

    async def _load(self, found: Found, points: tuple[str, ...]) -> None:
        from hooks.python import PythonHooks, Source  # noqa: PLC0415 - not loaded without Python hooks

        python = PythonHooks(Source(found.python, points))
        try:
            loaded = await python.load()
        except NotToldError as error:
            self._log.warning("hooks.not-loaded", error=str(error))
            await python.close()
            return
        except asyncio.CancelledError:
            await python.close()
            raise
        self._replace(python)
        hooks = {name: Hook(name, None, marks) for name, marks in loaded.hooks.items()}
        known = frozenset(self._lines)
        self._settle(found, hooks, (*found.refused, *loaded.refused))
        for event in self._early:
            self._pass_on(event, only=hooks.keys() - known)
        self._early.clear()

    def _replace(self, python: "PythonHooks | None") -> None:
        if self._python is not None:
            self._python.retire()
            self._leaving = [one for one in (*self._leaving, self._python) if not one.closed]
        self._python = python

    def _settle(self, found: Found, python: Mapping[str, Hook] | None, refused: tuple[tuple[str, str], ...]) -> None:
        """Replace the hooks. ``python`` is None while they are being loaded: the previous ones stay."""
        for name, why in refused:
            if (name, why) not in self._refused:
                self._log.warning("hook.refused", hook=name, reason=why)
        self._refused = refused
        before = [*(line.hook for line in self._lines.values()), *(gate.hook for gate in self._gates.values())]
        stay = python.values() if python is not None else [hook for hook in before if hook.path is None]
        wanted = {hook.name: hook for hook in (*found.hooks, *stay)}
        gates = {name for name, hook in wanted.items() if hook.is_gate}
        for name in self._lines.keys() - (wanted.keys() - gates):
            self._lines.pop(name).close()
        self._gates = {name: gate for name, gate in self._gates.items() if name in gates}
        for name, hook in wanted.items():
            if name in gates:
                self._gates.setdefault(name, self._gate(hook)).hook = hook
            elif name in self._lines:
                self._lines[name].hook = hook
            else:
                self._lines[name] = HookQueue(hook, self._runner(hook), self._count, self._log)
        if wanted:
            self._log.info("hooks.found", hooks=len(wanted), folder=str(self._folder))

    def _know_gates(self) -> None:
        loading = self._loading is not None and not self._loading.done()
        on = [gate for name, gate in self._gates.items() if name not in self._off]
        marks = {(mark.of, mark.unit) for gate in on for mark in gate.hook.marks}
        guarded = None if loading else tuple(sorted(marks))
        if guarded != self.guarded:
            self.guarded = guarded
            self._know(guarded)

    # How each kind is run.

    def _runner(self, hook: Hook) -> Callable[[Happened], Awaitable[str]]:
        async def run_file(event: Happened) -> str:
            code, said = await self._run(hook, event, command.PATIENCE)
            if code:
                raise NotToldError(f"exit code {code}" + (f": {said}" if said else ""))
            return said

        async def run_function(event: Happened) -> str:
            return (await self._call(hook, event.as_dict())).output

        return run_function if hook.path is None else run_file

    def _gate(self, hook: Hook) -> Gate:
        async def ask_file(asked: Asked, limit: float) -> tuple[Answer, str]:
            code, said = await self._run(hook, asked, limit)
            if code < 0 or code in NOT_RUN:
                raise NotToldError(f"exit code {code}" + (f": {said}" if said else ""))
            if code:
                return Veto(said.splitlines()[0] if said else f"exit code {code}"), said
            return (answer_of(json.loads(said)) if said.startswith("{") else None), said

        async def ask_function(asked: Asked, limit: float) -> tuple[Answer, str]:
            ended = await self._call(hook, asked.as_dict(), limit)
            return answer_of(ended.answer), ended.output

        return Gate(hook, ask_function if hook.path is None else ask_file, self._count, self._log)

    async def _run(self, hook: Hook, told: Happened | Asked, limit: float) -> tuple[int, str]:
        """In a process of its own, as Python hooks: the supervisor would have to wait for each fork."""
        if self._files is None:
            from hooks.python import PythonHooks, Source  # noqa: PLC0415 - not loaded before the first run

            self._files = PythonHooks(Source())
        ended = await self._files.run(str(hook.path), told.environment(), told.as_json(), limit)
        return int(ended.answer), ended.output

    async def _call(self, hook: Hook, told: Mapping[str, Any], limit: float | None = None) -> "Ended":
        if self._python is None:
            raise NotToldError("there is no process for Python hooks")
        return await self._python.call(hook.name, told, limit or max(mark.timeout for mark in hook.marks))

    # Telling and asking.

    def observe(self, entry: "Entry", moment: Moment, reaction: Reaction) -> None:
        loading = self._loading is not None and not self._loading.done()
        if not self._lines and not loading:
            return
        for event in happenings(entry.event, reaction, moment.cause, self._wall()):
            self._pass_on(event)
            if loading:
                self._early.append(event)

    def _pass_on(self, event: Happened, only: AbstractSet[str] | None = None) -> None:
        for name, line in self._lines.items():
            if (only is None or name in only) and name not in self._off and line.hook.wants(event):
                line.put(event)

    async def ask(self, asked: Asked) -> GateVerdict:
        """Ask all gates that stand before it. Ends within the longest of their limits; never raises."""
        await self.ready()
        gates = [gate for name, gate in self._gates.items() if name not in self._off and gate.stands_before(asked)]
        leave = await ask_all(gates, asked) if gates else GateVerdict()
        for hook, why in leave.vetoes:
            self._log.info("hook.vetoed", hook=hook, point=asked.point, unit=asked.unit, reason=why, cause=asked.cause)
        return leave

    async def ready(self) -> None:
        """Until it is known which Python hooks there are: that has limits of its own, one for each file."""
        while (loading := self._loading) is not None and not loading.done():
            await asyncio.wait([loading])

    # What a person wants of them.

    def listed(self) -> list[dict[str, Any]]:
        known: dict[str, HookQueue | Gate] = {**self._lines, **self._gates}
        rows = [known[name].as_dict() | self._state(name) for name in sorted(known)]
        nothing = {"runs": 0, "failed": 0, "dropped": 0, "vetoes": 0, "waiting": 0, "last_output": None}
        return rows + [
            {"name": name, "kind": "", "events": "", "path": "", "state": "refused", "last_error": why, **nothing}
            for name, why in self._refused
        ]

    def _state(self, name: str) -> dict[str, str]:
        return {"state": "off"} if name in self._off else {}

    async def test(self, event: str, unit: str) -> list[dict[str, str]]:
        """Call every matching hook with a made-up event or question. Raises KeyError: no such event or point."""
        await self.ready()
        if event in POINTS:
            question = sample_question(event, unit, self._wall())
            gates = [gate for name, gate in sorted(self._gates.items()) if gate.stands_before(question)]
            answers = await asyncio.gather(*(gate.answer(question) for gate in gates))
            return [
                {"hook": gate.hook.name, "error": "", "answer": _in_words(answer), "output": gate.record.last_output}
                for gate, answer in zip(gates, answers, strict=True)
            ]
        told = sample(event, unit, self._wall())
        lines = [self._lines[name] for name in sorted(self._lines) if self._lines[name].hook.wants(told)]
        said = await asyncio.gather(*(line.tell(told) for line in lines))
        return [
            {"hook": line.hook.name, "error": error, "answer": "", "output": "" if error else line.record.last_output}
            for line, error in zip(lines, said, strict=True)
        ]

    def switch(self, name: str, *, on: bool) -> None:
        """Enable or disable a hook; it is saved. Raises UnknownHookError, OSError."""
        known = {*self._lines, *self._gates, *self._off}
        if name not in known:
            raise UnknownHookError(f"there are: {', '.join(sorted(known)) or 'none'}")
        if on:
            self._off_file.remove(name)
        else:
            self._off_file.add(name)
        self._off = self._off - {name} if on else self._off | {name}
        self._know_gates()
        self._log.info("hook.switched", hook=name, on=on)

    async def close(self) -> None:
        """Kill running hooks with their process groups; waiting events are dropped."""
        ended: list[asyncio.Task[None]] = [line.close() for line in self._lines.values()]
        if self._loading is not None:
            self._loading.cancel()
            ended.append(self._loading)
        await asyncio.gather(*ended, return_exceptions=True)
        processes = (self._files, self._python, *self._leaving)
        await asyncio.gather(*(one.close() for one in processes if one is not None))


def _in_words(answer: Answer) -> str:
    match answer:
        case None:
            return "go on"
        case Veto(reason):
            return f"veto: {reason}"
        case _:
            names = [*answer.environment, *answer.mounts]
            return f"go on, with {', '.join(names)}" if names else "go on"

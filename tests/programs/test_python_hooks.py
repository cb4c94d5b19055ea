"""Python hooks run in a process of their own, and whatever they do there is their own loss."""

import asyncio
import os
import textwrap
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from hooks import gate, interpreter, on
from hooks.errors import UnknownHookError
from hooks.marks import marks_of
from hooks.presence import HostHooks
from hooks.runner import HookRunner
from tests.pure.story import Story, spec
from units import events as fact
from units.machine import Moment
from units.quantities import Instant
from units.spec import UnitName
from units.world import Entry

SILENT = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))
HEAD = """\
import asyncio, os, sys, threading, time
from pathlib import Path
from hooks import Contribution, Veto, gate, on
HERE = Path(__file__).parent.parent
def note(text):
    with open(HERE / "notes", "a") as notes: notes.write(text + "\\n")
"""


def python(folder: Path, name: str, text: str) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    path = folder / name
    path.write_text(HEAD + textwrap.dedent(text))
    path.chmod(0o644)


class Bench:
    """Python hooks of a folder, and a world that they look at."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder.parent / "notes"
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ended = asyncio.Event()
        self.story = Story.of(spec("web"), spec("console"))
        self.story.connect()
        self.story.up("web", "console")
        self.hooks = HookRunner(folder, self._count, SILENT, lambda: 1.0, folder.parent / "off")

    def _count(self, hook: str, outcome: str, _seconds: float) -> None:
        self.counts[hook, outcome] += 1
        self.ended.set()

    def crash(self, unit: str = "web") -> None:
        for event in (
            fact.ContainerDied(UnitName(unit), self.story.id(unit), 3),
            fact.ContainerStarted(UnitName(unit), self.story.id(unit)),
        ):
            self.story.feed(event)
            assert self.story.last is not None
            self.hooks.observe(Entry(event, "c-1", Instant(0)), Moment(Instant(0), 0.5, "c-1", 1), self.story.last)

    async def until(self, hook: str, outcome: str, number: int = 1) -> None:
        async with asyncio.timeout(60):
            while self.counts[hook, outcome] < number:
                self.ended.clear()
                await self.ended.wait()

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.hooks.listed() if row["name"] == name)

    def told(self) -> list[str]:
        return self.notes.read_text().splitlines()


def run(folder: Path, story: Callable[[Bench], Awaitable[None]]) -> Bench:
    async def main() -> Bench:
        bench = Bench(folder)
        try:
            await story(bench)
        finally:
            await bench.hooks.close()
        return bench

    return asyncio.run(main())


def test_a_mark_leaves_the_function_as_it_is() -> None:
    @on("unit.restarted", unit="con*")
    @on("engine.lost")
    def tell(_event: object) -> str:
        return "told"

    assert tell(None) == "told"
    assert [mark.of for mark in marks_of(tell)] == ["engine.lost", "unit.restarted"]


@pytest.mark.parametrize(
    ("decorate", "said"),
    [
        (lambda: on("unit.restated"), "did you mean 'unit.restarted'"),
        (lambda: gate("before_stat"), "did you mean 'before_start'"),
        (lambda: on("unit.*", timeout=60), "give it more than 0 and up to 10"),
        (lambda: gate("before_stop")(on("unit.*")(lambda _: None)), "either a hook"),
    ],
)
def test_what_can_never_happen_is_refused(decorate: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decorate()


def test_sync_and_async_functions_are_told_of_what_they_ask_for_as_typed_events(tmp_path: Path) -> None:
    """Also of what happened before their process was up."""
    folder = tmp_path / "d"
    python(
        folder,
        "a.py",
        """
        @on("unit.restarted", unit="con*")
        def sync(event):
            note(f"sync {type(event).__name__} {event.unit} {event.cause}")

        @on("unit.died")
        async def later(event):
            await asyncio.sleep(0)
            note(f"async {event.unit} {event.exit_code}")
            print("said", event.unit)
        """,
    )

    async def story(bench: Bench) -> None:
        bench.crash("web")
        bench.crash("console")
        await bench.until("a.py:sync", "done")
        await bench.until("a.py:later", "done", 2)

    bench = run(folder, story)
    assert sorted(bench.told()) == ["async console 3", "async web 3", f"sync UnitRestarted console {CAUSE}"]
    assert bench.row("a.py:later")["last_output"] == "said console"


CAUSE = "c9"
"""The ninth event of the story."""


HOSTILE = {
    "sleeps": "time.sleep(1000)",
    "blocks": "\n    while True: pass",
    "raises": "raise SystemExit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "exits": "os._exit(3)",
    "kills": "os.kill(os.getpid(), 9)",
    "floods": "\n    for _ in range(9999): print('x' * 100); os.write(1, b'y' * 2**10)\n    raise ValueError('enough')",
    "eats": "bytearray(2**40)",
}


@pytest.mark.parametrize(
    ("kind", "body"),
    [*(("def", body) for body in HOSTILE.values()), ("async def", HOSTILE["blocks"]), ("async def", HOSTILE["raises"])],
)
def test_a_hostile_one_is_charged_and_no_other_loses_anything(
    tmp_path: Path, kind: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "GRACE", 0.3)
    folder = tmp_path / "d"
    python(folder, "bad.py", f"@on('unit.died', timeout=0.1)\n{kind} bad(event): {body}")
    python(folder, "good.py", "@on('unit.died')\ndef good(event): note('good')")

    async def story(bench: Bench) -> None:
        bench.crash()
        await bench.until("bad.py:bad", "failed")
        await bench.until("good.py:good", "done")

    bench = run(folder, story)
    assert set(bench.told()) == {"good"}
    assert bench.counts["good.py:good", "failed"] == 0
    assert bench.row("bad.py:bad")["last_error"]


def test_an_error_is_told_with_its_place_and_what_was_printed(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", "@on('unit.died')\ndef f(event):\n    print('so far')\n    1 / 0")

    async def story(bench: Bench) -> None:
        bench.crash()
        await bench.until("a.py:f", "failed")

    said = run(folder, story).row("a.py:f")["last_error"]
    assert said.startswith("ZeroDivisionError: division by zero (")
    assert said.endswith("/d/a.py:10); printed: so far")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("os._exit(4)", "its import ended the process: exit code 4"),
        ("raise SystemExit", "SystemExit"),
        ("", "it has no function with @on"),
        ("def (", "SyntaxError"),
        ("@on('unit.nonsense')\ndef f(event): pass", "there is no event 'unit.nonsense'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_and_the_others_are_not(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", text)
    python(folder, "b.py", "@on('unit.died')\ndef f(event): pass")

    async def story(bench: Bench) -> None:
        bench.crash()
        await bench.until("b.py:f", "done")

    bench = run(folder, story)
    row = bench.row("a.py")
    assert row["state"] == "refused"
    assert said in row["last_error"]


def test_others_may_not_write_what_is_imported(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", "note('imported')")
    (folder / "a.py").chmod(0o666)

    async def story(bench: Bench) -> None:
        assert [row["state"] for row in bench.hooks.listed()] == ["refused"]

    assert not run(folder, story).notes.exists()


def test_a_package_can_bring_hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point that names a module, or a function."""
    site = tmp_path / "site"
    (site / "brought-1.dist-info").mkdir(parents=True)
    (site / "brought-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1\n")
    points = "[console_scripts]\nx = y:z\n\n[dockwarden.hooks]\nwhole = brought\none = brought:f\n\n[other]\na = b\n"
    (site / "brought-1.dist-info/entry_points.txt").write_text(points)
    (site / "brought.py").write_text("from hooks import on\n@on('unit.died')\ndef f(event): print('brought')\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))

    async def main() -> list[tuple[str, str]]:
        hooks = HostHooks(tmp_path / "none", lambda *_: None, SILENT, lambda: 1.0, tmp_path / "off")
        try:
            told = await hooks.test("unit.died", "web")
            return [(row["hook"], row["output"]) for row in told]
        finally:
            await hooks.close()

    assert asyncio.run(main()) == [("one:f", "brought"), ("whole:f", "brought")]


def test_without_any_nothing_is_loaded_and_everything_answers(tmp_path: Path) -> None:
    async def main() -> None:
        hooks = HostHooks(tmp_path / "none", lambda *_: None, SILENT, lambda: 1.0, tmp_path / "off")
        hooks.reload()
        await hooks.ready()
        assert hooks.listed() == []
        assert await hooks.test("unit.died", "web") == []
        with pytest.raises(KeyError):
            await hooks.test("unit.nonsense", "web")
        with pytest.raises(UnknownHookError, match="none"):
            hooks.switch("nobody", on=False)
        await hooks.close()

    asyncio.run(main())


def test_reload_takes_the_new_text_and_keeps_what_waits(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", "@on('unit.died')\ndef f(event): note('old')")

    async def story(bench: Bench) -> None:
        bench.crash()
        await bench.until("a.py:f", "done")
        python(folder, "a.py", "@on('unit.died')\ndef f(event): note('new')")
        python(folder, "b.py", "@on('unit.died')\ndef g(event): note('g')")
        bench.hooks.reload()
        bench.crash()  # While it is loaded: each is told of it, and once.
        await bench.hooks.ready()
        await bench.until("a.py:f", "done", 2)
        await bench.until("b.py:g", "done")
        bench.crash()
        await bench.until("a.py:f", "done", 3)
        await bench.until("b.py:g", "done", 2)

    told = run(folder, story).told()
    assert (told.count("g"), len(told), told[-2] == "old") == (2, 5, False)


def test_a_text_that_was_changed_within_a_second_is_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size and, as far as a cache can tell, of the same time; and nothing is left beside it."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    folder = tmp_path / "d"

    async def story(bench: Bench) -> None:
        for number, text in enumerate(("old", "new"), 1):
            python(folder, "a.py", f"@on('unit.died')\ndef f(event): note('{text}')")
            os.utime(folder / "a.py", (1_700_000_000, 1_700_000_000))
            bench.hooks.reload()
            await bench.hooks.ready()
            bench.crash()
            await bench.until("a.py:f", "done", number)

    assert run(folder, story).told() == ["old", "new"]
    assert [path.name for path in folder.iterdir()] == ["a.py"]


def test_one_that_is_switched_off_is_told_nothing_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", "@on('unit.died')\ndef f(event): note('f')\n@on('unit.died')\ndef g(event): note('g')")

    async def off(bench: Bench) -> None:
        await bench.hooks.ready()
        bench.hooks.switch("a.py:f", on=False)

    async def crash(bench: Bench) -> None:
        bench.crash()
        await bench.until("a.py:g", "done")
        assert bench.row("a.py:f")["state"] == "off"

    run(folder, off)
    assert run(folder, crash).told() == ["g"]

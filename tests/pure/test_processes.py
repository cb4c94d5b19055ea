"""A container whose process is gone while its engine says that it runs is seen, where processes can be seen."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from supervisor.engine.processes import GRACE, Processes
from units.observed import Observed
from units.records import replace
from units.spec import ContainerId, UnitName

WEB, DB = ContainerId("a" * 64), ContainerId("b" * 64)


def seen(container: ContainerId, pid: int, *, hint: bool = False) -> Observed:
    return Observed(UnitName("web"), container, "web", running=True, created=False, pid=0 if hint else pid, hint=hint)


@dataclass
class Machine:
    """A /proc of files, a clock, and what looks at both."""

    proc: Path
    now: float = 100.0
    pids: set[int] = field(init=False)
    processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        self.pids = set[int]()
        self.processes = Processes(lambda: self.now, self.proc, self.pids.__contains__)

    def run(self, pid: int, container: ContainerId, state: str = "S") -> None:
        self.pids.add(pid)
        place = self.proc / str(pid)
        place.mkdir(exist_ok=True)
        (place / "cgroup").write_text(f"0::/docker/{container}\n")
        (place / "stat").write_text(f"{pid} (a ) program) {state} 1 1 1\n")

    def end(self, pid: int) -> None:
        self.pids.remove(pid)
        self.hide(pid)

    def hide(self, pid: int) -> None:
        """Who may not look sees nothing of it."""
        for file in (self.proc / str(pid)).iterdir():
            file.unlink()
        (self.proc / str(pid)).rmdir()

    def lifeless(self, container: ContainerId, pid: int) -> bool:
        return self.processes.checked(seen(container, pid)).lifeless

    def look(self, *rows: Observed) -> list[bool]:
        """One snapshot: what an inspect found, whether or not a list had it."""
        self.processes.keep(one.container for one in rows)
        return [self.processes.checked(one).lifeless for one in rows]

    def asks(self, *rows: Observed) -> list[ContainerId]:
        return [one.container for one in self.processes.doubtful(rows)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_process_that_stays_away_makes_its_container_lifeless(machine: Machine) -> None:
    """Not at once: an engine finds most of them out by itself."""
    machine.run(7, WEB)
    assert not machine.lifeless(WEB, 7)
    machine.end(7)
    assert not machine.lifeless(WEB, 7)
    machine.now += GRACE - 1
    assert not machine.lifeless(WEB, 7)
    machine.now += 1
    assert machine.lifeless(WEB, 7)


def test_who_is_in_no_list_is_lifeless_all_the_same(machine: Machine) -> None:
    """From look to look it is only inspected; its absence goes on (chaos, seed 2)."""
    machine.run(7, WEB)
    machine.look(seen(WEB, 7))
    machine.end(7)
    assert machine.asks() == []
    assert machine.look(seen(WEB, 7)) == [False]
    machine.now += GRACE
    assert machine.asks() == []
    assert machine.look(seen(WEB, 7)) == [True]
    machine.look()
    assert machine.look(seen(WEB, 7)) == [False]


def test_a_zombie_is_gone(machine: Machine) -> None:
    machine.run(7, WEB)
    machine.lifeless(WEB, 7)
    machine.run(7, WEB, "Z")
    machine.lifeless(WEB, 7)
    machine.now += GRACE
    assert machine.lifeless(WEB, 7)


def test_what_is_hidden_is_not_gone(machine: Machine) -> None:
    """``hidepid`` shows a supervisor that is not root only its own user's processes."""
    machine.run(7, DB)
    machine.lifeless(DB, 7)
    machine.run(8, WEB)
    machine.hide(8)
    for _ in range(2):
        assert not machine.lifeless(WEB, 8)
        machine.now += GRACE


def test_a_new_run_begins_anew(machine: Machine) -> None:
    machine.run(7, WEB)
    machine.lifeless(WEB, 7)
    machine.end(7)
    machine.lifeless(WEB, 7)
    machine.now += GRACE
    machine.run(8, WEB)
    assert not machine.lifeless(WEB, 8)
    machine.end(8)
    assert not machine.lifeless(WEB, 8)


def test_pids_of_another_machine_say_nothing(machine: Machine) -> None:
    """A supervisor in a container without the host's processes, or an engine far away."""
    machine.run(7, DB)
    for _ in range(2):
        assert not machine.lifeless(WEB, 7)
        assert not machine.lifeless(WEB, 70)
        machine.now += GRACE


def test_one_that_is_certain_vouches_for_all(machine: Machine) -> None:
    """A supervisor that comes when the process is gone already has only others to go by."""
    machine.run(7, DB)
    machine.lifeless(DB, 7)
    assert not machine.lifeless(WEB, 70)
    machine.now += GRACE
    assert machine.lifeless(WEB, 70)


def test_a_list_is_enough_while_all_live(machine: Machine) -> None:
    """Whoever is not known, or is gone, is asked for; nobody else, and nobody where pids say nothing."""
    web, db = seen(WEB, 7, hint=True), seen(DB, 8, hint=True)
    assert machine.asks(web, db) == []
    machine.run(7, WEB)
    machine.run(8, DB)
    machine.lifeless(WEB, 7)
    assert machine.asks(web, db) == [DB]
    machine.lifeless(DB, 8)
    assert machine.asks(web, db) == []
    machine.end(8)
    assert machine.asks(web, db) == [DB]
    assert machine.asks(web, replace(db, running=False)) == []

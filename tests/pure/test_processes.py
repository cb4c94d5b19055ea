"""A container whose process is gone while its engine says that it runs is seen, where processes can be seen."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from supervisor.engine.processes import GRACE, Processes, is_of
from units.observed import Observed
from units.records import replace
from units.spec import ContainerId, UnitName

WEB, DB = ContainerId("a" * 64), ContainerId("b" * 64)


def seen(container: ContainerId, pid: int, *, hint: bool = False) -> Observed:
    return Observed(UnitName("web"), container, "web", running=True, created=False, pid=0 if hint else pid, hint=hint)


@dataclass
class Machine:
    """Processes, whose containers they are, and a clock."""

    now: float = 100.0
    running: dict[int, ContainerId] = field(default_factory=dict)
    processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        self.processes = Processes(
            lambda: self.now, self.running.__contains__, lambda pid, container: self.running.get(pid) == container
        )

    def lifeless(self, container: ContainerId, pid: int) -> bool:
        return self.processes.checked(seen(container, pid)).lifeless

    def look(self, *rows: Observed) -> list[bool]:
        """One snapshot: what inspects found, whether or not a list had it."""
        self.processes.keep({one.container for one in rows})
        return [self.processes.checked(one).lifeless for one in rows]

    def asks(self, *rows: Observed) -> list[ContainerId]:
        return [one.container for one in self.processes.doubtful(rows)]


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_process_that_stays_away_makes_its_container_lifeless(machine: Machine) -> None:
    """Not at once: an engine finds most of them out by itself."""
    machine.running[7] = WEB
    assert not machine.lifeless(WEB, 7)
    del machine.running[7]
    assert not machine.lifeless(WEB, 7)
    machine.now += GRACE - 1
    assert not machine.lifeless(WEB, 7)
    machine.now += 1
    assert machine.lifeless(WEB, 7)


def test_who_is_in_no_list_is_lifeless_all_the_same(machine: Machine) -> None:
    """From look to look it is only inspected; its absence goes on (chaos, seed 2)."""
    machine.running[7] = WEB
    machine.look(seen(WEB, 7))
    del machine.running[7]
    assert machine.asks() == []
    assert machine.look(seen(WEB, 7)) == [False]
    machine.now += GRACE
    assert machine.asks() == []
    assert machine.look(seen(WEB, 7)) == [True]
    machine.look()
    assert machine.look(seen(WEB, 7)) == [False]


def test_a_new_run_begins_anew(machine: Machine) -> None:
    machine.running[7] = WEB
    machine.lifeless(WEB, 7)
    del machine.running[7]
    machine.lifeless(WEB, 7)
    machine.now += GRACE
    machine.running[8] = WEB
    assert not machine.lifeless(WEB, 8)
    del machine.running[8]
    assert not machine.lifeless(WEB, 8)


def test_pids_of_another_machine_say_nothing(machine: Machine) -> None:
    """A supervisor in a container without the host's processes, or an engine far away."""
    machine.running[7] = DB
    for _ in range(2):
        assert not machine.lifeless(WEB, 7)
        assert not machine.lifeless(WEB, 70)
        machine.now += GRACE


def test_one_that_is_certain_vouches_for_all(machine: Machine) -> None:
    """A supervisor that comes when the process is gone already has only others to go by."""
    machine.running[7] = DB
    machine.lifeless(DB, 7)
    assert not machine.lifeless(WEB, 70)
    machine.now += GRACE
    assert machine.lifeless(WEB, 70)


def test_another_engine_is_known_anew(machine: Machine) -> None:
    """The next connection may lead to an engine elsewhere, whose pids are not this machine's."""
    machine.running[7] = DB
    machine.lifeless(DB, 7)
    machine.lifeless(WEB, 70)
    machine.processes.forget()
    machine.now += GRACE
    assert not machine.lifeless(WEB, 70)
    assert machine.asks(seen(WEB, 70, hint=True)) == []


def test_a_list_is_enough_while_all_live(machine: Machine) -> None:
    """Whoever is not known, or is gone, is asked for; nobody else, and nobody where pids say nothing."""
    web, db = seen(WEB, 7, hint=True), seen(DB, 8, hint=True)
    assert machine.asks(web, db) == [WEB], "one tells whether pids mean something here"
    machine.running |= {7: WEB, 8: DB}
    machine.lifeless(WEB, 7)
    assert machine.asks(web, db) == [DB]
    machine.lifeless(DB, 8)
    assert machine.asks(web, db) == []
    del machine.running[8]
    assert machine.asks(web, db) == [DB]
    assert machine.asks(web, replace(db, running=False)) == []


def test_a_container_s_processes_are_in_its_cgroup(tmp_path: Path) -> None:
    for pid, container in ((7, WEB), (8, DB)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"0::/docker/{container}\n")
    assert is_of(7, WEB, tmp_path)
    assert not is_of(8, WEB, tmp_path)

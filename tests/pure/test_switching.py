"""Each step of each switch, told in the core's own words."""

from dataclasses import replace

import pytest

from tests.pure.story import Story, show
from units import events as fact
from units.commands import ArmSwitch, CheckSwitch, ClearLeft, Command, DropIntent, KeepChoice, KeepIntent, ParkContainer
from units.health import Health
from units.links import check
from units.quantities import Instant
from units.spec import (
    CONSOLE,
    PROCESS,
    USER_DOCKER,
    ContainerId,
    Kind,
    Policy,
    Rebuild,
    RestartPolicy,
    Switchable,
    UnitName,
    UnitSpec,
)
from units.switch.record import SwitchResult, SwitchStep
from units.switch_events import ChoiceKept, ChoiceLost, SwitchAsked, SwitchChecked, SwitchDue
from units.tables.console import park, undefined
from units.tables.storage import placed
from units.unit import Failure, Phase, StandbyContainer, StoppedBy
from units.world import new_world


def console(variant: str, rebuild: Rebuild = Rebuild.NEVER) -> UnitSpec:
    return UnitSpec(
        CONSOLE,
        Kind.CONSOLE,
        variant,
        variant,
        "h1",
        (),
        RestartPolicy(Policy.ALWAYS),
        rebuild=rebuild,
        variant=variant,
    )


CONSOLES = (console("default", Rebuild.ALWAYS), console("debian"))
STORAGE = UnitSpec(UnitName("storage"), Kind.SERVICE, "image", "{}", "h1", (), RestartPolicy(Policy.ALWAYS))
DOCKER = placed(
    UnitSpec(USER_DOCKER, Kind.USER_DOCKER, "", "{}", "h1", (), RestartPolicy(Policy.ALWAYS), pull=False), CONSOLE
)


class SwitchStory(Story):
    """Like any other, with the switch's steps and orders in words."""

    def tell(self, event: fact.Event) -> list[str]:
        self.feed(event)
        assert self.last is not None
        moved = [f"{t.after.name}: {t.before.phase} -> {t.after.phase}" for t in self.last.transitions]
        steps = [f"* {getattr(one, 'step', None) or getattr(one, 'result', None)}" for one in self.last.switches]
        return [*moved, *steps, *(text for command in self.last.commands if (text := said(command)))]

    def asked(self, of: Switchable, target: str, *, anew: bool = False) -> list[str]:
        return self.tell(SwitchAsked(of, target, request=7, anew=anew))

    @property
    def token(self) -> int:  # type: ignore[override]
        assert self.world.switch is not None
        return self.world.switch.token

    def checked(self, *refusals: str) -> list[str]:
        return self.tell(SwitchChecked(self.token, refusals))

    def due(self) -> list[str]:
        return self.tell(SwitchDue(self.token))

    def ends(self, code: int = 0) -> list[str]:
        return [*self.tell(fact.ContainerDied(USER_DOCKER, PROCESS, code)), *self.clears()]

    def clears(self) -> list[str]:
        """Nothing was left of user Docker: that moves it on, where it waits for that."""
        waits = self.world.units[USER_DOCKER].phase is Phase.CLEARING
        return self.tell(fact.LeftCleared(USER_DOCKER)) if waits else []

    def serves(self) -> list[str]:
        begun = [*self.clears(), *self.tell(fact.ContainerStarted(USER_DOCKER, PROCESS))]
        return begun + self.tell(fact.HealthReported(USER_DOCKER, PROCESS, Health.HEALTHY))

    def step(self) -> SwitchStep | None:
        return None if self.world.switch is None else self.world.switch.step

    def answer(self) -> str:
        assert self.last is not None
        (answer,) = self.last.answers
        return ("yes: " if answer.accepted else "no: ") + answer.text


def said(command: Command) -> str:
    match command:
        case ClearLeft():
            return "clear"
        case ArmSwitch():
            return f"within {command.delay:g} s"
        case KeepIntent():
            return f"note {command.step} before {command.unit}"
        case KeepChoice():
            return f"choose {command.name}"
        case DropIntent():
            return "drop the note"
        case CheckSwitch():
            return f"check {command.target}"
        case _:
            return show(command) if not show(command).startswith("arm ") else ""


def booted() -> SwitchStory:
    specs = (CONSOLES[0], STORAGE, DOCKER)
    fresh = SwitchStory.of(*specs)
    story = SwitchStory(new_world(fresh.world.units.values(), check(specs).links, CONSOLES))
    story.connect()
    story.up("console", "storage")
    story.feed(fact.ContainerCreated(USER_DOCKER, PROCESS, "h1"))
    story.feed(fact.HealthReported(USER_DOCKER, PROCESS, Health.STARTING))
    story.serves()
    assert set(story.phases().values()) == {"ready"}
    story.later(60)
    return story


def test_a_console_switch_step_by_step() -> None:
    """Check, drain, stop, start, prove, commit: each is noted before its orders, and has a deadline."""
    story = booted()
    assert story.asked(Switchable.CONSOLE, "debian") == [
        "* checking",
        "note checking before console",
        "check debian",
        "within 600 s",
    ]
    assert story.checked() == [
        "user-docker: ready -> stopping",
        "* draining",
        "note draining before user-docker",
        "within 30 s",
        "signal user-docker SIGTERM",
    ]
    assert story.ends() == [
        "user-docker: stopping -> clearing",
        "clear",
        "user-docker: clearing -> inactive",
        "console: ready -> stopping",
        "* stopping",
        "note stopping before console",
        "within 30 s",
        "signal console-1 SIGTERM",
    ]
    assert story.tell(fact.ContainerDied(CONSOLE, story.id("console"), 0)) == [
        "console: stopping -> inactive",
        "console: inactive -> creating",
        "* starting",
        "note starting before console",
        "within 30 s",
        "create console",
    ]
    story.created("console")
    assert story.tell(fact.ContainerStarted(CONSOLE, story.id("console"))) == [
        "console: starting -> ready",
        "user-docker: inactive -> clearing",
        "* proving",
        "note proving before user-docker",
        "within 60 s",
        "clear",
    ]
    assert story.serves() == [
        "user-docker: clearing -> starting",
        "start user-docker",
        "user-docker: starting -> running",
        "user-docker: running -> ready",
        "* committing",
        "note committing before console",
        "within 30 s",
        "choose debian",
    ]
    assert story.tell(ChoiceKept(story.token)) == ["* done", "drop the note"]
    assert story.answer() == "yes: the console is debian now"
    assert story.world.parked["default"].container == "console-1"
    assert story.world.switched is not None
    assert [step for step, _ in story.world.switched.spent] == [
        "checking",
        "draining",
        "stopping",
        "starting",
        "proving",
        "committing",
    ]


def test_a_storage_switch_touches_no_console() -> None:
    """Only user Docker ends and begins; from then on it follows the other unit."""
    story = booted()
    story.asked(Switchable.STORAGE, "storage")
    story.checked()
    assert story.ends() == [
        "user-docker: stopping -> clearing",
        "clear",
        "user-docker: clearing -> inactive",
        "user-docker: inactive -> clearing",
        "* proving",
        "note proving before user-docker",
        "within 60 s",
        "clear",
    ]
    story.serves()
    story.tell(ChoiceKept(story.token))
    assert story.answer() == "yes: the storage context is storage now"
    assert story.died("console").splitlines()[:1] == ["console: ready -> starting"]
    assert story.phases()["user-docker"] == "ready"
    assert story.died("storage").splitlines()[:2] == ["storage: ready -> starting", "user-docker: ready -> stopping"]


def test_what_was_checked_and_refused_has_touched_nothing() -> None:
    """No unit moved, and the answer says why."""
    story = booted()
    story.asked(Switchable.CONSOLE, "debian")
    assert story.checked("its image is not there", "no room") == ["* refused", "drop the note"]
    assert story.answer() == "no: switch refused, nothing was changed: its image is not there; no room"
    assert set(story.phases().values()) == {"ready"}


def to_proving(story: SwitchStory) -> None:
    story.asked(Switchable.CONSOLE, "debian")
    story.checked()
    story.ends()
    story.died("console", 0)
    story.created("console")
    story.started("console")
    assert story.world.switch is not None
    assert story.world.switch.step is SwitchStep.PROVING


def test_a_console_that_falls_over_is_taken_back_at_once() -> None:
    """Its first death is enough; the old one is started again, and user Docker in it."""
    story = booted()
    to_proving(story)
    assert "* reverting" in story.tell(fact.ContainerDied(CONSOLE, story.id("console"), 1))
    story.ends()
    story.died("console", 0)
    assert story.step() is SwitchStep.RESTORING
    assert story.unit("console").spec.variant == "default"
    story.created("console")
    story.started("console")
    story.serves()
    assert story.answer().startswith("no: switch failed, the console default was restored: console: the new one died")
    assert set(story.phases().values()) == {"ready"}
    assert story.world.parked["debian"].container == "console-2"


@pytest.mark.parametrize("step", ["draining", "stopping", "starting", "proving", "committing"])
@pytest.mark.parametrize("fault", ["late", "full disk"])
def test_every_step_has_a_way_back(step: str, fault: str) -> None:
    """A step that takes too long, and a note that cannot be written, lead back; and the old one is what is chosen."""
    story = booted()
    story.asked(Switchable.CONSOLE, "debian")
    story.checked()
    if step in {"stopping", "starting", "proving", "committing"}:
        story.ends()
    if step in {"starting", "proving", "committing"}:
        story.died("console", 0)
    if step in {"proving", "committing"}:
        story.created("console")
        story.started("console")
    if step == "committing":
        story.serves()
    assert story.world.switch is not None
    assert story.world.switch.step == step
    told = story.due() if fault == "late" else story.tell(ChoiceLost(story.token, "no space left"))
    assert "* reverting" in told
    assert story.world.switched is None


def test_with_the_engine_away_no_step_runs_out_of_time() -> None:
    """Its timer is set again, and nothing is undone."""
    story = booted()
    story.asked(Switchable.CONSOLE, "debian")
    story.checked()
    story.feed(fact.EngineLost("gone"))
    assert story.due() == ["within 5 s"]
    assert story.world.switch is not None
    assert story.world.switch.step is SwitchStep.DRAINING


def test_one_switch_at_a_time_and_no_wish_in_between() -> None:
    """The second one, and a person's stop of what is being moved, are told which switch it is."""
    story = booted()
    story.asked(Switchable.CONSOLE, "debian")
    story.asked(Switchable.STORAGE, "storage")
    assert story.answer() == (
        "no: a switch of the console from default to debian is in progress (checking): wait until it ends"
    )
    story.tell(fact.StopAsked(CONSOLE, 8))
    assert story.answer() == "no: a switch of the console is in progress (checking): wait until it ends"
    story.tell(fact.StopAsked(UnitName("storage"), 9))
    assert story.answer().startswith("yes: ")


@pytest.mark.parametrize(
    ("of", "target", "why"),
    [
        (Switchable.CONSOLE, "nix", "there is no console 'nix'; there are: debian, default"),
        (Switchable.CONSOLE, "default", "the console is already default"),
        (
            Switchable.STORAGE,
            "nix",
            "no unit 'nix' can be a storage context; there are: console, storage",
        ),
        (Switchable.STORAGE, "console", "the storage context is already console"),
    ],
)
def test_what_cannot_begin_says_what_there_is(of: Switchable, target: str, why: str) -> None:
    """Known names are listed, and what is so already is said."""
    story = booted()
    assert story.asked(of, target) == []
    assert story.answer().startswith(f"no: {why}")


def test_a_shutdown_drops_a_switch() -> None:
    """What was not committed is not there at the next boot."""
    story = booted()
    story.asked(Switchable.CONSOLE, "debian")
    story.checked()
    assert "* dropped" in story.tell(fact.ShutdownAsked("SIGTERM", STORAGE.stop.timeout))
    assert story.world.switch is None


def test_a_person_s_stop_of_user_docker_outlives_a_switch() -> None:
    """Nobody wanted it before, and nobody starts it: the console proves itself alone, by staying up."""
    story = booted()
    story.tell(fact.StopAsked(USER_DOCKER, 3))
    story.ends()
    story.asked(Switchable.CONSOLE, "debian")
    assert "* stopping" in story.checked()
    story.died("console", 0)
    story.created("console")
    assert "within 1 s" in story.tell(fact.ContainerStarted(CONSOLE, story.id("console")))
    assert "* committing" in story.due()
    story.tell(ChoiceKept(story.token))
    assert story.unit("user-docker").stopped_by is StoppedBy.PERSON


def test_made_anew_the_old_container_is_kept_until_the_new_one_serves() -> None:
    """And is used again when it does not."""
    for good in (True, False):
        story = booted()
        to_proving_anew(story)
        if good:
            story.serves()
            assert story.tell(ChoiceKept(story.token)) == ["* done", REMOVED, "drop the note"]
        else:
            story.due()
            story.ends()
            told = story.died("console", 0)
            assert "SwapBack(unit='console', container='console-1', name='console', discards='console-2')" in told
            assert story.unit("console").container == "console-1"


REMOVED = "RemoveContainer(unit='console', container='console-1', why='the console was re-created')"


def to_proving_anew(story: SwitchStory) -> None:
    story.asked(Switchable.CONSOLE, "default", anew=True)
    story.checked()
    story.ends()
    story.died("console", 0)
    story.created("console")
    story.started("console")


def test_late_news_of_another_console_is_not_this_one_s() -> None:
    """A create that a failed switch had begun may be told long after the old console is back."""
    story = booted()
    before = story.unit("console")
    assert story.tell(fact.ContainerCreated(CONSOLE, ContainerId("late"), "h1", "debian")) == []
    looked = story.tell(fact.ContainerStarted(CONSOLE, ContainerId("late"), variant="debian"))
    assert looked == ["TakeSnapshot(why='console: another container of this unit was started')"]
    assert story.unit("console") == before


def test_a_chosen_console_that_cannot_run_lets_default_in_once() -> None:
    """Its place is taken until the next boot, and the choice is left alone."""
    specs = (CONSOLES[1], STORAGE, DOCKER)
    fresh = SwitchStory.of(*specs)
    story = SwitchStory(new_world(fresh.world.units.values(), check(specs).links, CONSOLES))
    story.connect()
    told = story.tell(fact.CreateFailed(CONSOLE, Failure.UNRECOVERABLE, "no such command"))
    assert "console: creating -> failed" in told
    assert "* checking" in told
    assert story.last is not None
    assert "switching to the console default" in story.last.notices[0]
    assert "* stopping" in [*story.checked(), *story.clears()]


def test_the_record_of_an_outcome_is_complete() -> None:
    """Who reads it later knows which switch it was, how it ended and why."""
    story = booted()
    story.asked(Switchable.ENGINE, "new")
    story.checked("there is no engine 'new'")
    outcome = story.world.switched
    assert outcome is not None
    assert (outcome.of, outcome.origin, outcome.target, outcome.result) == (
        Switchable.ENGINE,
        "",
        "new",
        SwitchResult.REFUSED,
    )
    assert replace(outcome, ended=Instant(0)).why == "there is no engine 'new'"


def test_only_another_console_that_runs_is_stopped_at_boot() -> None:
    """There is one console at a time; what is stopped already is left as it is."""
    others = {
        name: StandbyContainer(ContainerId(name), "", running) for name, running in (("runs", True), ("rests", False))
    }
    assert [
        order.container for order in park({}, others, undefined("default")) if isinstance(order, ParkContainer)
    ] == ["runs"]

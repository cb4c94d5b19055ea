"""Each decision is found out after the fact: its rule, its inputs, its outcome, and the restart that it leads to."""

from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.journal.restart_origins import RestartOrigins
from tests.bed.engines import REPOSITORY
from tests.pure.story import Story, needs, seen, spec
from units import events as fact
from units.decisions import TIES, of_standing
from units.events import Event
from units.health import Check, CheckKind, Health, Tcp
from units.machine import Moment
from units.quantities import Instant
from units.rule_book import RULES
from units.rules import Decision
from units.spec import HealPolicy, Kind, OnUnhealthy, Policy, UnitName, Via
from units.switch.record import SwitchResult, SwitchStep
from units.unit import Failure, Reason


@dataclass
class Decided(Story):
    """A story that also writes down what was decided."""

    made: dict[str, int] = field(default_factory=dict)
    kept: list[Decision] = field(default_factory=list)
    plans: RestartOrigins = field(default_factory=RestartOrigins)
    origins: list[int] = field(default_factory=list)
    """For each restart, the number of its decision."""

    def feed(self, event: Event) -> str:
        before, cause = self.world, f"c{self.seq + 1}"
        told = super().feed(event)
        assert self.last is not None
        moment = Moment(Instant(self.now), self.jitter, cause, self.seq)
        for moved in self.last.transitions:
            origin = self.plans.tell(moved, event, moment, self.world, self.keep)
            if moved.restart is not None:
                self.origins.append(origin)
        for decision in of_standing(before, event, moment, self.last):
            self.plans.note(decision, self.keep(decision))
        return told

    def keep(self, decision: Decision) -> int:
        self.kept.append(decision)
        return len(self.kept)

    def told(self) -> list[str]:
        """What was decided since this was last asked: unit, rule, outcome."""
        told, self.kept = [f"{one.unit} {one.rule}: {one.outcome}" for one in self.kept], []
        return told

    def inputs(self, number: int = -1) -> dict[str, Any]:
        return dict(self.kept[number].inputs)


def up(*specs: Any) -> Decided:
    story = Decided.of(*specs)
    assert isinstance(story, Decided)
    story.connect()
    story.up(*(one.name for one in specs))
    return story


def test_a_boot_decides_nothing() -> None:
    """To start what is wanted is no decision."""
    assert up(spec("web"), spec("db")).told() == []


def test_deaths_in_a_row_lead_from_at_once_by_delays_to_a_crash_loop() -> None:
    """Each with what it was decided from; and each restart comes from one of them."""
    story = up(spec("web"))
    story.later(30).died("web", 137)
    assert story.inputs() == {
        "ran_for": 30.0,
        "good_run": 10.0,
        "exit_code": 137,
        "policy": "always",
        "failures": 1,
        "restarts": 0,
        "burst": 5,
        "interval": 60.0,
    }
    story.later(0.1).started("web")
    story.later(1).died("web", 1)
    assert story.inputs() | {"base_delay": 0.2, "jitter": 0.25, "drawn": 0.5, "delay": 0.2} == story.inputs()
    for _ in range(4):
        story.feed(fact.RetryDue(UnitName("web"), story.token("web")))
        story.later(0.1).started("web")
        story.died("web", 1)
    assert story.origins == [1, 2, 3, 4, 5]
    assert story.inputs() | {"restarts": 5, "looping": 0, "probe": 300.0} == story.inputs()
    assert story.told() == [
        "web restart.immediate: start it at once",
        "web restart.backoff: restart in 0.2 s",
        "web restart.backoff: restart in 0.4 s",
        "web restart.backoff: restart in 0.8 s",
        "web restart.backoff: restart in 1.6 s",
        "web restart.crash-loop: leave it; next try in 5 min",
    ]


def test_a_policy_that_forbids_it_gives_up_and_a_oneshot_rests() -> None:
    story = up(spec("web", policy=Policy.NO), spec("job", kind=Kind.ONESHOT))
    story.died("web", 3)
    story.died("job", 0)
    assert story.told() == ["web restart.give-up: leave it", "job restart.rest: leave it: it is done"]
    assert story.origins == []


def test_a_stop_from_outside_is_respected_and_a_kill_is_answered() -> None:
    story = up(spec("web"), spec("db"))
    story.killed("web", 15)
    story.died("web", 143)
    story.stopped("web")
    story.killed("db", 15)
    story.died("db", 143)
    story.later(1).feed(fact.VerdictDue(UnitName("db"), story.token("db")))
    assert (
        story.told()
        == [
            "web death.await-verdict: wait a moment before it is judged",
            "web stop.respected: leave it stopped",
            "db death.await-verdict: wait a moment before it is judged",
            "db restart.backoff: restart in 0.2 s",
        ]
        or story.told() == []
    )


def test_a_relink_names_the_tie() -> None:
    """The vpn's restart is one decision, and what it brings on is another one's, with the same cause."""
    story = up(spec("vpn"), spec("app", needs("vpn", Via.NET)))
    story.later(60).died("vpn")
    story.later(0.1).started("vpn")
    assert story.inputs()["tie"] == "net of vpn"
    assert story.kept[-1].cause == story.kept[0].cause
    story.died("app", 0)
    story.started("app")
    assert story.origins == [1, 2]
    assert story.told() == [
        "vpn restart.immediate: start it at once",
        "app relink.net: stop it, then start it again",
    ]


def test_help_for_health_and_why_it_is_withheld() -> None:
    sick = replace(spec("web"), checks=(Check("live", Tcp(80), CheckKind.LIVENESS),), heal=HealPolicy(falls=1))
    story = up(sick)

    def report(health: Health) -> None:
        story.feed(fact.HealthReported(UnitName("web"), story.id("web"), health, "live", 0, "refused"))

    report(Health.HEALTHY)
    story.later(100)
    report(Health.UNHEALTHY)
    assert story.inputs() | {"check": "unhealthy: check live failed: refused", "helped": 1} == story.inputs()
    story.died("web", 0)
    story.started("web")
    report(Health.UNHEALTHY)
    assert story.told() == [
        "web heal.restart: stop it, then start it again",
        "web heal.withhold: flapping: restarted 1 times in 30 min; next try in 10 min",
    ]
    assert story.origins == [1]


def test_a_signal_for_a_unit_that_runs_is_a_decision_without_a_transition() -> None:
    heal = HealPolicy(OnUnhealthy.SIGNAL, signal="SIGHUP")
    story = up(replace(spec("web"), checks=(Check("live", Tcp(80), CheckKind.LIVENESS),), heal=heal))
    story.feed(fact.HealthReported(UnitName("web"), story.id("web"), Health.UNHEALTHY, "live"))
    assert story.told() == ["web heal.signal: send it SIGHUP"]


def test_who_waits_for_what_has_failed_is_held() -> None:
    story = Decided.of(spec("db", policy=Policy.NO), spec("web", needs("db")))
    assert isinstance(story, Decided)
    story.connect()
    story.created("db")
    story.feed(fact.StartFailed(UnitName("db"), story.id("db"), Failure.UNRECOVERABLE, "no such device"))
    assert [one.rule for one in story.kept] == ["restart.refused", "hold.dependency"]
    assert story.inputs() == {"waits_for": "db is failed"}


def test_what_somebody_asks_is_told_with_the_restart_it_leads_to() -> None:
    story = up(spec("web"))
    story.feed(fact.RestartAsked(UnitName("web")))
    story.died("web", 0)
    story.started("web")
    story.feed(fact.StopAsked(UnitName("web")))
    story.feed(fact.StartAsked(UnitName("web")))  # Before the stop is through: it starts again, as a restart.
    story.died("web", 0)
    story.started("web")
    assert story.origins == [1, 3]
    assert story.told() == [
        "web ask.restart: stop it, then start it again",
        "web ask.stop: stop it",
        "web ask.start: stop it, then start it again",
    ]


def test_a_start_by_another_hand_is_noticed() -> None:
    story = up(spec("web"))
    story.killed("web", 15)
    story.died("web", 143)
    story.stopped("web")
    story.started("web")
    assert [one.rule for one in story.kept] == ["death.await-verdict", "stop.respected", "restart.external"]
    assert story.origins == [3]


def test_a_restart_decided_by_another_supervisor_is_carried_out() -> None:
    """Its decision is the one that was kept; without one it is told that there was one."""
    for known, origin in (({"web": 77}, 77), ({}, 1)):
        story = up(spec("web"))
        story.later(60).died("web", 1)
        story.plans, story.kept = RestartOrigins(known), []
        story.started("web")
        assert story.origins == [origin]
        assert [one.rule for one in story.kept] == ([] if known else ["restart.resumed"])


def test_a_snapshot_s_correction_is_judged_as_a_death_is() -> None:
    """What the stream did not tell has the same decision."""
    story = up(spec("web"))
    story.later(60).look(seen("web", running=False, exit_code=9))
    assert story.inputs()["exit_code"] == 9
    assert story.told() == ["web restart.immediate: start it at once"]


def test_an_order_that_fails_is_judged_or_put_down_to_the_engine() -> None:
    story = up(spec("web"))
    story.later(60).died("web")
    story.feed(fact.StartFailed(UnitName("web"), story.id("web"), Failure.UNREACHABLE, "no answer"))
    story.feed(fact.RetryDue(UnitName("web"), story.token("web")))
    story.feed(fact.StartFailed(UnitName("web"), story.id("web"), Failure.OTHER, "device busy"))
    told = [one.rule for one in story.kept]
    assert told == ["restart.immediate", "restart.engine-away", "restart.backoff"]
    assert story.inputs(1) == {"engine": "no answer"}


def test_a_hook_s_no_is_a_decision_of_its_own() -> None:
    """It costs the unit nothing, and a start that comes after it is still the restart that the death led to."""
    story = up(spec("web"))
    web, box = UnitName("web"), story.id("web")
    story.later(60).died("web")
    story.feed(fact.StartFailed(web, box, Failure.VETOED, "the hook disk said no: full"))
    story.feed(fact.RetryDue(web, story.token("web")))
    story.started("web")
    story.feed(fact.StopAsked(web))
    story.feed(fact.SignalFailed(web, box, Failure.VETOED, "the hook night said no: busy"))
    assert story.inputs() == {"gate": "the hook night said no: busy"}
    told = [(one.rule, one.restart and one.restart.value) for one in story.kept]
    assert told == [
        ("restart.immediate", "exit"),
        ("gate.start", "exit"),
        ("ask.stop", None),
        ("gate.stop", None),
    ]
    assert story.origins == [2]


def test_the_names_of_rules_are_a_family_and_a_word() -> None:
    """They are the stable thing: each way to help and each tie has one, and none is a switch's."""
    assert all(rule.count(".") == 1 for rule in RULES)
    assert {f"heal.{action}" for action in OnUnhealthy if action not in {"hook", "none"}} <= set(RULES)
    assert {f"relink.{tie.value}" for tie in TIES} <= set(RULES)
    assert not {f"switch.{word}" for word in (*SwitchStep, *SwitchResult)} & set(RULES)


def test_the_reference_names_every_rule_and_its_meaning() -> None:
    """docs/reference/decisions.md is what operators read."""
    page = (REPOSITORY / "docs/reference/decisions.md").read_text()
    assert [rule for rule, meaning in RULES.items() if f"| `{rule}` | {meaning} |" not in page] == []
    assert [word for word in (*SwitchStep, *SwitchResult) if f"`switch.{word}`" not in page] == []


def test_a_death_that_comes_late_is_decided_on_too() -> None:
    """The stop was known to be over before the death was told: that death finds the unit on its way up."""
    story = up(spec("web"))
    story.later(30).feed(fact.RestartAsked(UnitName("web")))
    gone = fact.SignalFailed(UnitName("web"), story.id("web"), Failure.NOT_RUNNING, "it is not running")
    assert "web: stopping -> starting" in story.feed(gone)
    story.told()
    story.died("web", 137)
    assert story.told() == ["web restart.immediate: start it at once"]
    story.later(0.1).started("web")
    assert story.origins[-1] == 1


def test_a_death_that_is_explained_after_it_was_told_is_one_for_lack_of_memory() -> None:
    story = up(spec("web"))
    oomed = fact.ContainerOomed(UnitName("web"), story.id("web"))
    story.later(30).died("web", 137)
    story.feed(oomed)
    assert [one.rule for one in story.kept] == ["restart.immediate", "restart.out-of-memory"]
    story.later(0.1).started("web")
    assert story.unit("web").reason.startswith("restarted after: OOM-killed (exit code 137)")
    assert (story.last.transitions[0].restart, story.origins) == (Reason.OOM, [2])  # type: ignore[union-attr]
    story.later(1).died("web", 137)
    story.told()
    story.feed(oomed)
    (decided,) = story.told()
    assert decided.startswith("web restart.out-of-memory: restart in ")
    story.feed(oomed)
    assert story.told() == []
    assert story.unit("web").reason.startswith("OOM-killed (exit code 137); restart in ")
    assert story.unit("web").pending is Reason.OOM

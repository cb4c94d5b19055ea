"""A gate is asked in time, its veto is a state with a reason, and one that fails holds nobody up."""

import asyncio
import json
from pathlib import Path

import pytest
import structlog

from hooks.gates import GateVerdict
from hooks.points import Asked, Contribution, Starting, Stopping, Veto, answer_of, sample
from hooks.presence import HostHooks
from hooks.runner import HookRunner
from supervisor.engine.port import EngineError
from supervisor.http.control.commands import Command
from supervisor.http.control.commands import Commands as Requests
from supervisor.runtime.gating import Gated, Gating, contributed, refusals
from supervisor.runtime.loop import Inbox
from tests.programs.test_hooks import script
from tests.programs.test_python_hooks import python
from tests.pure.story import Story, spec
from units import events as fact
from units.commands import CheckSwitch, CreateContainer, SignalContainer, StartContainer
from units.machine import Moment
from units.quantities import Instant, Seconds
from units.records import replace
from units.spec import Kind, Switchable, UnitName
from units.unit import Failure, Phase, Reason, StoppedBy
from units.world import Answer, Entry

SILENT = structlog.wrap_logger(None, processors=[], wrapper_class=structlog.make_filtering_bound_logger(50))
WEB = UnitName("web")
NO = "vetoed by disk: only 3 MiB free"


def starting(unit: str = "web") -> Starting:
    return Starting(1.0, "c-1", "why", unit, "image", "", 0)


def stopping(unit: str = "web") -> Stopping:
    return Stopping(1.0, "c-1", "why", unit, "0" * 12, "person", shutdown=False)


def ask(folder: Path, asked: Asked) -> GateVerdict:
    async def main() -> GateVerdict:
        hooks = HookRunner(folder, lambda *_: None, SILENT, lambda: 1.0, folder.parent / "off")
        try:
            return await hooks.ask(asked)
        finally:
            await hooks.close()

    return asyncio.run(main())


# What the core makes of a veto.


def test_a_vetoed_create_is_tried_again_ever_less_often_and_charges_nothing() -> None:
    story = Story.of(spec("web"))
    story.connect()
    told = [story.feed(fact.CreateFailed(WEB, Failure.VETOED, NO))]
    assert story.unit("web").reason == f"{NO}; next try in 5 s"
    for _ in range(5):
        story.feed(fact.RetryDue(WEB, story.token("web")))
        told.append(story.feed(fact.CreateFailed(WEB, Failure.VETOED, NO)))
    assert [line.splitlines()[-1].split()[-1] for line in told] == ["5", "10", "20", "40", "60", "60"]
    story.feed(fact.RetryDue(WEB, story.token("web")))
    story.up("web")
    assert story.unit("web").phase is Phase.READY
    assert (story.unit("web").misses, story.unit("web").restarts, story.unit("web").budget.failures) == (0, 0, 0)


def test_a_vetoed_restart_gives_back_what_it_was_charged() -> None:
    """However often it is vetoed, it never comes to a crash loop; and when it starts at last, it is one restart."""
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    story.later(60)
    story.died("web", 3)
    for _ in range(10):
        story.feed(fact.StartFailed(WEB, story.id("web"), Failure.VETOED, NO))
        assert story.unit("web").phase is Phase.BACKOFF
        assert story.unit("web").budget.restarts == ()
        story.feed(fact.RetryDue(WEB, story.token("web")))
    story.started("web")
    assert story.last is not None
    assert [moved.restart for moved in story.last.transitions] == [Reason.EXIT]
    assert story.unit("web").restarts == 1


def test_after_a_vetoed_stop_it_runs_on_as_wanted_and_says_why() -> None:
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    story.feed(fact.StopAsked(WEB))
    story.feed(fact.SignalFailed(WEB, story.id("web"), Failure.VETOED, NO))
    web = story.unit("web")
    assert (web.phase, web.wanted, web.reason) == (Phase.READY, True, f"not stopped: {NO}")
    story.died("web", 3)
    assert story.unit("web").phase is Phase.STARTING


def test_no_veto_holds_up_a_shutdown() -> None:
    """Also one that was said just before the host was to go down."""
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    story.feed(fact.StopAsked(WEB))
    story.feed(fact.ShutdownAsked("off", Seconds(60)))
    told = story.feed(fact.SignalFailed(WEB, story.id("web"), Failure.VETOED, NO))
    assert "SIGTERM" in told
    story.died("web", 143)
    assert story.world.drained


def test_a_start_that_is_vetoed_while_it_is_being_stopped_is_over() -> None:
    story = Story.of(spec("web"))
    story.connect()
    story.created("web")
    story.feed(fact.StopAsked(WEB))
    story.feed(fact.StartFailed(WEB, story.id("web"), Failure.VETOED, NO))
    assert story.unit("web").phase is Phase.INACTIVE


def test_a_oneshot_with_a_deadline_is_asked_again_after_a_vetoed_end() -> None:
    story = Story.of(replace(spec("job", kind=Kind.ONESHOT), deadline=Seconds(60)))
    story.connect()
    story.up("job")
    job = UnitName("job")
    story.feed(fact.DeadlineDue(job, story.token("job")))
    assert story.unit("job").phase is Phase.STOPPING
    story.feed(fact.SignalFailed(job, story.id("job"), Failure.VETOED, NO))
    assert story.unit("job").phase is Phase.RUNNING
    story.feed(fact.DeadlineDue(job, story.token("job")))
    assert story.unit("job").phase is Phase.STOPPING


# Who is asked, and when.


class Asking:
    """Gates that write down what they are asked, and say what they are told to."""

    def __init__(self, story: Story, *, no: bool = False) -> None:
        self.asked: list[Asked] = []
        self.gating = Gating(self, lambda: story.world, SILENT)
        self._leave = GateVerdict((("g", "no"),)) if no else GateVerdict((), (Contribution({"A": "b"}),))

    def stand_before(self, point: str, unit: str) -> bool:  # noqa: ARG002
        return True

    async def ask(self, asked: Asked) -> GateVerdict:
        self.asked.append(asked)
        return self._leave

    def moment(self) -> float:
        return 1.0

    def admit(self, *orders: Gated, cause: str = "c-1") -> list[Gated]:
        async def main() -> list[Gated]:
            return [await self.gating.admit(order, cause) for order in orders]

        return asyncio.run(main())


def test_making_and_starting_are_one_question_and_the_next_start_is_another() -> None:
    story = Story.of(spec("web"))
    story.connect()
    gates = Asking(story)
    start = StartContainer(WEB, story.id("web"))
    made, started = gates.admit(CreateContainer(WEB, story.unit("web").spec, None), start)
    assert isinstance(made, CreateContainer)
    assert json.loads(made.spec.body) == {"Env": ["A=b"]}
    assert started == start
    assert [type(asked) for asked in gates.asked] == [Starting]
    gates.admit(start, cause="c-2")
    assert len(gates.asked) == 2


def test_a_veto_keeps_a_create_and_a_start_from_the_engine() -> None:
    story = Story.of(spec("web"))
    story.connect()
    for order in (CreateContainer(WEB, story.unit("web").spec, None), StartContainer(WEB, story.id("web"))):
        with pytest.raises(EngineError, match="vetoed by g: no") as refused:
            Asking(story, no=True).admit(order)
        assert refused.value.failure is Failure.VETOED


def test_only_the_first_signal_of_a_stop_is_asked_for() -> None:
    """Not a SIGKILL, not a signal that is no stop, not a stop within a switch, not one of a unit that is gone."""
    story = Story.of(spec("web"), spec("db"))
    story.connect()
    story.up("web", "db")
    gates = Asking(story, no=True)
    term = SignalContainer(WEB, story.id("web"), "SIGTERM")
    gates.admit(term, SignalContainer(UnitName("nobody"), story.id("web"), "SIGTERM"))
    story.feed(fact.StopAsked(UnitName("db"), by=StoppedBy.SWITCH))
    gates.admit(SignalContainer(UnitName("db"), story.id("db"), "SIGTERM"))
    story.feed(fact.StopAsked(WEB))
    gates.admit(SignalContainer(WEB, story.id("web"), "SIGKILL"))
    assert gates.asked == []
    with pytest.raises(EngineError, match="vetoed by g: no") as refused:
        gates.admit(term)
    assert refused.value.failure is Failure.VETOED
    story.feed(fact.ShutdownAsked("off", Seconds(60)))
    assert gates.admit(term) == [term]
    assert [getattr(asked, "shutdown", None) for asked in gates.asked] == [False, True]


def test_a_veto_of_before_a_request_is_no_answer_to_it() -> None:
    """It may be told only now: telling comes after acting."""
    story = Story.of(spec("web"))
    story.connect()
    story.up("web")
    story.feed(fact.StopAsked(WEB))
    story.feed(fact.SignalFailed(WEB, story.id("web"), Failure.VETOED, NO))
    assert story.last is not None
    asking = Requests(inbox=Inbox(lambda: 0.0), world=lambda: story.world, status=dict)
    asked = asking._asks[1] = Command("stop", WEB)
    moment = Moment(Instant(0), 0.5, "c")
    entry = Entry(fact.EngineLost("whatever"), "c", Instant(0))
    asking.observe(entry, moment, story.last)
    assert not asked.vetoed
    asked.answer = Answer(1, accepted=True, text="web is stopping")
    asking.observe(entry, moment, story.last)
    assert asked.vetoed


def test_a_switch_is_refused_by_a_veto() -> None:
    story = Story.of(spec("web"))
    order = CheckSwitch(1, Switchable.CONSOLE, "debian", force=False)
    assert asyncio.run(refusals(Asking(story, no=True), order, "c")) == ("vetoed by g: no",)
    assert asyncio.run(refusals(Asking(story), order, "c")) == ()


# What gates may say.


@pytest.mark.parametrize(
    ("text", "vetoes"),
    [
        ("exit 0", ()),
        ("echo only 3 MiB free; echo more; exit 1", (("before_start/g", "only 3 MiB free"),)),
        ("exit 9", (("before_start/g", "exit code 9"),)),
        ("kill -9 $$", ()),
        ("exec /nowhere", ()),
        ("echo '{\"mounts\": 3}'", ()),
    ],
)
def test_an_executable_vetoes_by_its_exit_code_and_fails_open(
    tmp_path: Path, text: str, vetoes: tuple[tuple[str, str], ...]
) -> None:
    script(tmp_path / "d" / "before_start" / "g", text)
    assert ask(tmp_path / "d", starting()).vetoes == vetoes
    assert ask(tmp_path / "d", stopping()).vetoes == ()


def test_a_defect_of_ours_in_asking_lets_it_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> tuple[int, str]:
        raise AssertionError("ours")

    monkeypatch.setattr(HookRunner, "_run", broken)
    script(tmp_path / "d" / "before_start" / "g", "exit 1")
    assert ask(tmp_path / "d", starting()).vetoes == ()


def test_a_strict_one_that_fails_is_a_veto(tmp_path: Path) -> None:
    script(tmp_path / "d" / "before_start" / "g.strict", "kill -9 $$")
    ((hook, why),) = ask(tmp_path / "d", starting()).vetoes
    assert (hook, why) == ("before_start/g.strict", "strict gate without an answer: exit code -9")


def test_an_executable_reads_the_question_and_may_contribute(tmp_path: Path) -> None:
    text = f"""cat > {tmp_path}/asked; echo '{{"environment": {{"ZONE": "a"}}, "mounts": ["/srv:/srv:ro"]}}'"""
    script(tmp_path / "d" / "before_start" / "g", text)
    assert ask(tmp_path / "d", starting()).contributions == (Contribution({"ZONE": "a"}, ("/srv:/srv:ro",)),)
    assert json.loads((tmp_path / "asked").read_text())["point"] == "before_start"


def test_python_gates_are_asked_for_the_units_they_stand_before(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(
        folder,
        "g.py",
        """
        @gate("before_start", unit="web*")
        def no(asked): return Veto(f"{asked.unit}: {asked.reason}")

        @gate("before_start")
        async def more(asked): return Contribution({"A": "b"})

        @gate("before_start", unit="nonsense")
        def nonsense(asked): return 7

        @gate("before_start", unit="slow", timeout=0.1)
        async def slow(asked): await asyncio.sleep(60)

        @gate("before_start", unit="slow", timeout=0.1, strict=True)
        async def strict(asked): await asyncio.sleep(60)
        """,
    )

    async def main() -> list[GateVerdict]:
        hooks = HookRunner(folder, lambda *_: None, SILENT, lambda: 1.0, folder.parent / "off")
        assert hooks.guarded is None  # Nobody knows yet who is to be asked.
        try:
            return [await hooks.ask(starting(unit)) for unit in ("web", "other", "nonsense", "slow")]
        finally:
            await hooks.close()

    web, other, nonsense, slow = asyncio.run(main())
    assert web.reason == "vetoed by g.py:no: web: why"
    assert other == GateVerdict((), (Contribution({"A": "b"}),))
    assert nonsense.vetoes == ()
    assert slow.reason == "vetoed by g.py:strict: strict gate without an answer: did not end in time"


def test_without_a_gate_nobody_is_asked_also_where_there_are_hooks(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    python(folder, "a.py", "@on('unit.died')\ndef f(event): pass")

    def asked(hooks: HostHooks) -> str:
        points = ("before_start", "before_stop")
        return " ".join(f"{point}:{unit}" for point in points for unit in "ab" if hooks.stand_before(point, unit))

    async def main() -> list[str]:
        told: list[str] = []
        hooks = HostHooks(folder, lambda *_: None, SILENT, lambda: 1.0, folder.parent / "off")
        told.append(asked(hooks))
        await hooks.ready()
        told.append(asked(hooks))
        script(folder / "before_stop" / "g", "true")
        hooks.reload()
        told.append(asked(hooks))
        await hooks.ready()
        told.append(asked(hooks))
        hooks.switch("before_stop/g", on=False)
        told.append(asked(hooks))
        python(folder, "b.py", "@gate('before_start', unit='b*')\ndef f(asked): pass")
        hooks.reload()
        told.append(asked(hooks))
        await hooks.ready()
        told.append(asked(hooks))
        await hooks.close()
        return told

    anybody = "before_start:a before_start:b before_stop:a before_stop:b"
    assert asyncio.run(main()) == [
        *(anybody, ""),  # It is not known yet what the Python hooks want; then nothing is.
        *(anybody, "before_stop:a before_stop:b"),
        "",
        *(anybody, "before_start:b"),
    ]


@pytest.mark.parametrize("told", [7, {"veto": 3}, {"environment": {"a=b": "c"}}, {"mounts": ["/a"]}, {"other": 1}])
def test_an_answer_that_means_nothing_is_none(told: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        answer_of(told)
    assert answer_of({"veto": "no"}) == Veto("no")


@pytest.mark.parametrize("point", ["before_start", "before_stop", "before_switch"])
def test_each_point_has_a_sample(point: str) -> None:
    asked = sample(point, "web", 1.0)
    assert asked.environment()["DOCKWARDEN_POINT"] == json.loads(asked.as_json())["point"] == point


def test_what_is_contributed_goes_into_the_create_call() -> None:
    body = json.dumps({"Image": "i", "Env": ["A=1", "B"], "HostConfig": {"Binds": ["/x:/x"], "Memory": 5}})
    made = json.loads(contributed(body, [Contribution({"A": "2"}, ("/x:/x",)), Contribution({}, ("/y:/y:ro",))]))
    assert made == {"Image": "i", "Env": ["A=2", "B"], "HostConfig": {"Binds": ["/x:/x", "/y:/y:ro"], "Memory": 5}}

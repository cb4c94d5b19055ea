"""The only place that tells what happened: a log line for each transition, and the last ones kept for ``why``.

Looking on never waits: a reader that is slow loses records and is told how many.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.loop import Entry
from supervisor.plans import Plans
from supervisor.record import Inputs, Record, Subscription
from units import events as fact
from units.commands import ArmTimer, Command, Timer
from units.decisions import of_standing
from units.events import Event, UnitEvent
from units.incidents import Incident, Incidents, look
from units.machine import Moment
from units.quantities import Instant
from units.rules import Decision, Value
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName
from units.switch import STEP_MEANING, Outcome, Result, Switch
from units.switch import in_words as outcome_in_words
from units.unit import Phase
from units.world import Reaction, Transition, World

KEPT = 4096
KEPT_PER_UNIT = 64
"""What a unit that moves once a week keeps while its neighbour crashes all day."""

BAD = frozenset({Phase.CRASH_LOOP, Phase.FAILED, Phase.IMAGE_MISSING})
DEAD = BAD | {Phase.EXITED, Phase.BACKOFF, Phase.COMPLETED}
NOTED = (
    fact.StartAsked,
    fact.StopAsked,
    fact.RestartAsked,
    fact.ResetAsked,
    fact.ContainerKilled,
    fact.ContainerOomed,
    fact.SignalFailed,
)
"""Facts that explain a later transition without making one."""
PUT_OFF = frozenset({"heal.withhold", "relink.wait", "relink.dry", "hold.dependency"})
"""Decisions to do nothing yet: they are made anew with each look."""
GAP = 1000
"""Between the last number that the supervisor before has written down and the first one of this."""
ASKS = (fact.StartAsked, fact.StopAsked, fact.RestartAsked, fact.ResetAsked)


class Journal:
    """An observer that logs each reaction and remembers the last records.

    ``wall`` turns a moment of the monotonic clock into seconds since 1970; ``asker`` says whose request a number is.
    ``kept``: what the supervisor before told last. Numbers go on after a gap, because that one may have told more than
    it could still write down. ``debug``: whether anybody sees lines of that level.
    """

    def __init__(
        self,
        log: FilteringBoundLogger,
        wall: Callable[[Instant], float],
        asker: Callable[[int], int | None] = lambda _: None,
        *,
        kept: Sequence[Record] = (),
        debug: bool = True,
    ) -> None:
        self._log = log
        self._debug = debug
        self._wall = wall
        self._asker = asker
        self._numbered = kept[-1].seq + GAP if kept else 0
        self._ring: deque[Record] = deque(kept, maxlen=KEPT)
        self._by_unit: dict[str, deque[Record]] = {}
        for record in kept:
            self._file(record)
        self._plans = Plans(_open_decisions(kept))
        self._withheld: dict[str, str] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._world: World | None = None
        self._due: dict[UnitName, Instant] = {}
        self._followers: set[Subscription] = set()
        self._incidents = Incidents()
        self.run = f"{time.time_ns() // 1_000_000:x}"
        """Whose numbers these are: the next supervisor may count some of them anew."""

    @property
    def last(self) -> int:
        """Number of the last record; 0 before the first."""
        return self._numbered

    def begin(self, reason: str, at: float) -> None:
        """Another supervisor has begun, at ``at`` seconds since 1970: what is kept of the one before ends here."""
        self._keep(event="supervisor.started", time=at, reason=reason)

    def observe(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        looked = look(self._incidents, entry.event, moment, reaction)
        self._incidents = looked.incidents
        told = _Telling(self, entry, moment, reaction)
        for transition in reaction.transitions:
            told.transition(transition)
        before, self._world = self._world, reaction.world
        for decision in () if before is None else of_standing(before, entry.event, moment, reaction):
            told.standing(decision)
        if isinstance(entry.event, UnitEvent):
            if not reaction.transitions and isinstance(entry.event, NOTED):
                told.noted(entry.event)
        else:
            told.world_event()
        for incident in looked.opened:
            told.incident_opened(incident)
        for incident in looked.closed:
            told.incident_closed(incident)
        for switch in reaction.switches:
            told.switch(switch)
        for notice in reaction.notices:
            told.notice(notice)
        self._take_orders(moment, reaction)

    def _take_orders(self, moment: Moment, reaction: Reaction) -> None:
        for command in reaction.commands:
            if isinstance(command, ArmTimer) and command.timer is Timer.RETRY:
                self._due[command.unit] = Instant(moment.now + command.delay)
            if self._debug:
                self._log_order(command, reaction.world, moment)

    def everything(self) -> list[Record]:
        """All that is kept, oldest first: what is recent, and what units that rarely move have kept longer."""
        kept = {record.seq: record for records in self._by_unit.values() for record in records}
        kept |= {record.seq: record for record in self._ring}
        return [kept[seq] for seq in sorted(kept)]

    def records(self, unit: str | None = None, after_seq: int = 0) -> list[Record]:
        """What is kept, oldest first: of all, or of one unit."""
        kept: Iterable[Record] = self._ring if unit is None else self._by_unit.get(unit, ())
        return [record for record in kept if record.seq > after_seq]

    def about(self, unit: str) -> dict[str, object]:
        """What goes with every line about a unit: that of its last record."""
        kept = self._by_unit.get(unit)
        known = {key: getattr(kept[-1], key) for key in ("cause", "incarnation", "seq")} if kept else {}
        incident = self.incident_of(unit)
        return known | {"incident": incident} if incident else known

    def incident_of(self, unit: str, cause: str = "") -> str:
        """The trouble that a unit, or what belongs to a cause, is a part of; empty: none."""
        found = self._incidents.of.get(UnitName(unit), "")
        if not found and cause and not unit:
            found = next((one.id for one in self._incidents.open if cause in one.causes), "")
        return found

    def since(self, seq: int, unit: str | None = None) -> tuple[list[Record], bool]:
        """What came after that record, of all or of one unit; and whether that is all of it."""
        if not self._ring or self._ring[0].seq <= seq + 1:
            return [record for record in self._ring if record.seq > seq and unit in {None, record.unit}], True
        if unit is None:
            return list(self._ring), False
        kept = self._by_unit.get(unit, deque())
        return self.records(unit, seq), len(kept) < KEPT_PER_UNIT or kept[0].seq <= seq

    def subscribe(self) -> Subscription:
        """Follow what happens from now on."""
        subscription = Subscription(self._followers.discard)
        self._followers.add(subscription)
        return subscription

    def close(self) -> None:
        """End all subscriptions, after what they still have to show."""
        for subscription in list(self._followers):
            subscription.close()

    @property
    def wall(self) -> Callable[[Instant], float]:
        """Seconds since 1970 of a moment of the monotonic clock."""
        return self._wall

    def due(self, name: UnitName) -> float | None:
        """When the unit's last timer for another try elapses or did, in seconds since 1970."""
        due = self._due.get(name)
        return None if due is None else self._wall(due)

    def _keep(self, **said: Any) -> Record:
        self._numbered += 1
        record = Record(seq=self._numbered, **said)
        self._ring.append(record)
        self._file(record)
        for follower in self._followers:
            follower.offer(record)
        return record

    def apart(self, pairs: Iterable[tuple[str, Value]]) -> Inputs:
        """Names and values; names that were there before are not kept twice."""
        said = tuple(pairs)
        names = tuple(name for name, _ in said)
        return self._names.setdefault(names, names), tuple(value for _, value in said)

    def _file(self, record: Record) -> None:
        if record.unit:
            self._by_unit.setdefault(record.unit, deque(maxlen=KEPT_PER_UNIT)).append(record)

    def _log_order(self, command: Command, world: World, moment: Moment) -> None:
        name = getattr(command, "unit", None)
        unit = None if name is None else world.units.get(name)
        said: dict[str, Any] = {} if name is None else {"unit": name}
        if isinstance(command, ArmTimer):
            said |= {"timer": command.timer.value, "delay": round(command.delay, 3)}
        elif (container := getattr(command, "container", None)) is not None:
            said["container"] = container[:12]
        cause = (unit.cause if unit is not None else "") or moment.cause
        self._log.debug("order.given", order=type(command).__name__, **said, cause=cause)


class _Telling:
    """The records and lines of one reaction."""

    def __init__(self, journal: Journal, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self._journal = journal
        self._log = journal._log  # noqa: SLF001 - two halves of one thing
        self._entry = entry
        self._moment = moment
        self._reaction = reaction
        self._common: dict[str, Any] = {
            "time": journal._wall(moment.now),  # noqa: SLF001
            "taken": moment.seq,
            "fact": in_words(entry.event),
            "engine_ns": entry.engine_ns,
            "uid": journal._asker(request) if (request := getattr(entry.event, "request", 0)) else None,  # noqa: SLF001
        }
        self._cause = moment.cause

    def _keep(self, **said: Any) -> Record:
        said.setdefault("incident", self._journal.incident_of(said.get("unit", ""), said["cause"]))
        return self._journal._keep(**(self._common | said))  # noqa: SLF001

    def transition(self, transition: Transition) -> None:
        before, after = transition.before, transition.after
        restart = transition.restart
        root = getattr(self._entry.event, "unit", after.name)
        journal, event = self._journal, self._entry.event
        origin = journal._plans.tell(transition, event, self._moment, self._reaction.world, self.decision)  # noqa: SLF001
        record = self._keep(
            event="unit.transition",
            fact=self._common["fact"] + ("" if root == after.name else f" of {root}"),
            cause=after.cause,
            unit=after.name,
            before=before.phase.value,
            after=after.phase.value,
            on=transition.on,
            reason=after.reason,
            exit_code=after.exit_code if after.phase in DEAD or transition.on == "ContainerDied" else None,
            container=(after.container or "")[:12],
            restarts=after.restarts,
            restart="" if restart is None else restart.value,
            incarnation=after.run,
            level="warning" if after.phase in BAD else "info",
            decision=origin,
        )
        journal._withheld.pop(after.name, None)  # noqa: SLF001
        say = self._log.warning if after.phase in BAD else self._log.info
        say(
            "unit.transition",
            unit=record.unit,
            before=record.before,
            after=record.after,
            state=record.after,
            reason=record.reason,
            cause=record.cause,
            on=record.on,
            incarnation=record.incarnation,
            seq=record.seq,
            container=record.container,
            restarts=record.restarts,
            **({} if restart is None else {"restart": record.restart}),
            **({} if record.exit_code is None else {"exit_code": record.exit_code}),
        )

    def decision(self, decision: Decision) -> int:
        """Keep it, and say its number."""
        unit = decision.unit
        root = getattr(self._entry.event, "unit", unit)
        about_unit = self._reaction.world.units.get(UnitName(unit))
        record = self._keep(
            event="unit.decision",
            level="debug",
            incarnation=None if about_unit is None else about_unit.run,
            fact=self._common["fact"] + ("" if root == unit else f" of {root}"),
            cause=decision.cause,
            unit=unit,
            rule=decision.rule,
            inputs=self._journal.apart(decision.inputs),
            outcome=decision.outcome,
            restart="" if decision.restart is None else decision.restart.value,
        )
        if self._journal._debug:  # noqa: SLF001
            self._log.debug(
                "unit.decision",
                unit=unit,
                rule=record.rule,
                outcome=record.outcome,
                **dict(decision.inputs),
                cause=record.cause,
                seq=record.seq,
            )
        return record.seq

    def standing(self, decision: Decision) -> None:
        """A decision about a unit that stays where it is. What is put off again and again is told once."""
        known = self._journal._withheld  # noqa: SLF001
        if decision.rule in PUT_OFF and known.get(decision.unit) == decision.rule:
            return
        known[decision.unit] = decision.rule
        self._journal._plans.note(decision, self.decision(decision))  # noqa: SLF001

    def noted(self, event: UnitEvent) -> None:
        """It moved nothing, yet explains what may follow; or a person's wish was refused, or changed nothing."""
        unit = self._reaction.world.units.get(event.unit)
        if unit is None or getattr(event, "container", unit.container) != unit.container:
            return
        refused = next((answer.text for answer in self._reaction.answers if not answer.accepted), "")
        on = type(event).__name__
        record = self._keep(
            event="unit.fact",
            cause=self._cause,
            unit=unit.name,
            after=unit.phase.value,
            on=on,
            reason=refused,
            incarnation=unit.run,
            level="info" if isinstance(event, ASKS) else "debug",
        )
        say = self._log.info if isinstance(event, ASKS) else self._log.debug
        say(
            "unit.fact",
            unit=unit.name,
            state=unit.phase.value,
            fact=record.fact,
            **({"refused": refused} if refused else {}),
            cause=self._cause,
            seq=record.seq,
        )

    def world_event(self) -> None:
        match self._entry.event:
            case fact.EngineLost(reason=reason) if not self._reaction.world.engine_version:
                self._tell("engine.awaited", reason)  # A boot begins so: nothing has been lost.
            case fact.EngineLost(reason=reason):
                self._tell("engine.lost", reason, level="warning")
            case fact.EngineBack(version=version):
                self._tell("engine.back", "the event stream is open", version=version)
            case fact.SnapshotTaken():
                self._snapshot(self._entry.event)
            case fact.ConfigRead(specs=specs):
                self._tell("config.read", f"{len(specs)} units are defined", units=len(specs))
            case fact.ConfigRefused(problems=problems):
                self._tell("config.refused", problems, level="error")
            case fact.ShutdownAsked(reason=reason, total=total):
                self._tell("shutdown.asked", reason, total=total)
            case fact.ShutdownHurried(reason=reason):
                self._tell("shutdown.hurried", reason, level="warning")
            case _:
                pass  # A unit's fact: its transitions are told.

    def _snapshot(self, event: fact.SnapshotTaken) -> None:
        corrected = sum(transition.on != "PeerChanged" for transition in self._reaction.transitions)
        said: dict[str, Any] = {"trigger": event.trigger, "containers": len(event.containers), "corrected": corrected}
        if corrected:
            self._tell("snapshot.taken", f"{corrected} corrections", **said)
        else:
            # Twice a minute, and nothing new: not worth a place in the ring.
            self._log.debug("snapshot.taken", **said, cause=self._cause)

    def switch(self, switch: Switch | Outcome) -> None:
        """A step, or the end, of a switch; kept with the unit that it is about."""
        unit = CONSOLE if switch.of is Switchable.CONSOLE else USER_DOCKER
        said: dict[str, Any] = {"of": switch.of.value, "origin": switch.origin, "target": switch.target}
        if isinstance(switch, Outcome):
            good = switch.result in {Result.DONE, Result.REFUSED}
            said |= {"result": switch.result.value, "steps": dict(switch.spent)}
            level = "info" if good else "warning"
            rule = f"switch.{switch.result.value}"
            words = outcome_in_words(switch)
            self._tell("switch.ended", words, level=level, unit=unit, cause=switch.cause, rule=rule, **said)
        else:
            why = f"; {switch.why}" if switch.why else ""
            reason = STEP_MEANING[switch.step] + why
            said["step"] = switch.step.value
            rule = f"switch.{switch.step.value}"
            self._tell("switch.step", reason, unit=unit, cause=switch.cause, rule=rule, **said)

    def notice(self, text: str) -> None:
        self._tell("supervisor.notice", text, level="warning")

    def incident_opened(self, incident: Incident) -> None:
        reason = f"{incident.id}: {incident.reason}"
        self._tell("incident.opened", reason, level="warning", unit=incident.root, incident=incident.id)

    def incident_closed(self, incident: Incident) -> None:
        lasted, units = round(incident.well - incident.opened, 3), list(incident.units)
        reason = f"{incident.id}: all that fell are well again: {', '.join(units) or 'the engine'}"
        said: dict[str, Any] = {"incident": incident.id, "seconds": lasted, "units": units}
        self._tell("incident.closed", reason, unit=incident.root, cause=incident.id, **said)

    def _tell(
        self,
        event: str,
        reason: str,
        *,
        level: str = "info",
        unit: str = "",
        cause: str = "",
        rule: str = "",
        **said: Any,
    ) -> None:
        cause = cause or self._cause
        about_unit = self._reaction.world.units.get(UnitName(unit))
        run = None if about_unit is None else about_unit.run
        known = {"incident": said["incident"]} if "incident" in said else {}
        inputs = self._journal.apart(
            (key, value) for key, value in said.items() if rule and isinstance(value, str | int)
        )
        record = self._keep(
            event=event,
            cause=cause,
            reason=reason,
            unit=unit,
            incarnation=run,
            level=level,
            rule=rule,
            inputs=inputs,
            **known,
        )
        if record.incident:
            said["incident"] = record.incident
        about = {"unit": unit} if unit else {}
        getattr(self._log, level)(event, **about, reason=reason, **said, cause=cause, seq=record.seq)


def _open_decisions(kept: Iterable[Record]) -> dict[str, int]:
    """For each unit the decision whose restart had not come yet when the last record was written."""
    found: dict[str, int] = {}
    for record in kept:
        if record.event == "unit.decision" and record.restart:
            found[record.unit] = record.seq
        elif record.restart:
            found.pop(record.unit, None)
    return found


_HIDDEN = frozenset(
    {"unit", "container", "request", "token", "config_hash", "asked_after", "at", "look", "started", "run"}
)


def in_words(event: Event) -> str:
    """A fact's name and what it says, such as ``ContainerDied exit_code=137``."""
    name = type(event).__name__
    if isinstance(event, fact.SnapshotTaken):
        return f"{name} trigger={event.trigger} containers={len(event.containers)}"
    if isinstance(event, fact.ConfigRead):
        return f"{name} units={len(event.specs)}"
    if isinstance(event, fact.SpecChanged):
        return name
    said = []
    for field in type(event).__match_args__:
        if field in _HIDDEN:
            continue
        value = getattr(event, field)
        value = getattr(value, "value", value)
        if field == "exit_code" or (value is not False and value not in ("", 0.0, ())):
            said.append(field if value is True else f"{field}={value}")
    return " ".join((name, *said))

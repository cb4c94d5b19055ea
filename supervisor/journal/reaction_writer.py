"""Writes each reaction: its records, and the log lines for them."""

from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from supervisor.journal.record import Record
from supervisor.journal.restart_origins import RestartOrigins
from supervisor.journal.store import RecordStore
from units import events as fact
from units.decisions import of_standing
from units.events import Event, UnitEvent
from units.incidents import CALM, Incident, Incidents, look
from units.machine import Moment
from units.quantities import Instant
from units.rules import Decision
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName
from units.switch.record import STEP_MEANING, Switch, SwitchOutcome, SwitchResult
from units.switch.record import in_words as outcome_in_words
from units.troubles import Concern, Reload, TroubleTold
from units.unit import Phase, Reason, StoppedBy
from units.words import duration, fact_in_words
from units.world import Entry, Reaction, Transition, World

NOTED = (
    fact.StartAsked,
    fact.StopAsked,
    fact.RestartAsked,
    fact.ResetAsked,
    fact.ContainerKilled,
    fact.ContainerOomed,
    fact.SignalFailed,
)
"""Facts that explain a later transition without causing one."""
PUT_OFF = frozenset({"heal.withhold", "relink.wait", "relink.dry", "hold.dependency"})
"""Decisions to do nothing yet: they are made again at each look."""
ASKS = (fact.StartAsked, fact.StopAsked, fact.RestartAsked, fact.ResetAsked)


class ReactionWriter:
    """Writes each reaction into the store and the log, and keeps the incidents that they are part of.

    Args:
        plans: Which decisions wait for the restart that they led to.
    """

    def __init__(
        self,
        store: RecordStore,
        log: FilteringBoundLogger,
        wall: Callable[[Instant], float],
        asker: Callable[[int], int | None],
        plans: RestartOrigins,
        *,
        debug: bool,
    ) -> None:
        self.store = store
        self.log = log
        self.wall = wall
        self.asker = asker
        self.plans = plans
        self.debug = debug
        self.withheld: dict[str, str] = {}
        """By unit, the rule by which an action was put off: it is logged once."""
        self._incidents = Incidents()
        self._world: World | None = None

    def write(self, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        looked = look(self._incidents, entry.event, moment, reaction)
        self._incidents = looked.incidents
        told = _OneReaction(self, entry, moment, reaction)
        for transition in (*reaction.engine, *reaction.transitions):
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

    def incident_of(self, unit: str, cause: str = "") -> str:
        """The id of the incident of a unit, or of a cause; empty: none."""
        found = self._incidents.of.get(UnitName(unit), "")
        if not found and cause and not unit:
            found = self._incidents.by_cause.get(cause, "")
        return found


class _OneReaction:
    """The records and lines of one reaction."""

    def __init__(self, writer: ReactionWriter, entry: Entry, moment: Moment, reaction: Reaction) -> None:
        self._writer = writer
        self._log = writer.log
        self._entry = entry
        self._moment = moment
        self._reaction = reaction
        self._common: dict[str, Any] = {
            "time": writer.wall(moment.now),
            "taken": moment.seq,
            "fact": in_words(entry.event),
            "engine_ns": entry.engine_ns,
            "uid": writer.asker(request) if (request := getattr(entry.event, "request", 0)) else None,
        }
        self._cause = moment.cause

    def _keep(self, **said: Any) -> Record:
        said.setdefault("incident", self._writer.incident_of(said.get("unit", ""), said["cause"]))
        return self._writer.store.keep(**(self._common | said))

    def transition(self, transition: Transition) -> None:
        before, after = transition.before, transition.after
        restart = transition.restart
        root = getattr(self._entry.event, "unit", after.name)
        writer, event = self._writer, self._entry.event
        origin = writer.plans.tell(transition, event, self._moment, self._reaction.world, self.decision)
        down = after.phase.troubled or after.phase in {Phase.EXITED, Phase.COMPLETED}
        died = down or transition.on in {"ContainerDied", "DaemonEnded"}
        bad = after.phase.troubled or after.phase in {Phase.LOST, Phase.HUNG} or _crashed(transition)
        level = "warning" if bad else "info"
        record = self._keep(
            event="unit.transition",
            fact=self._common["fact"] + ("" if root == after.name else f" of {root}"),
            cause=after.cause,
            unit=after.name,
            before=before.phase.value,
            after=after.phase.value,
            on=transition.on,
            reason=after.reason,
            exit_code=after.exit_code if died else None,
            container=(after.container or "")[:12],
            restarts=after.restarts,
            restart="" if restart is None else restart.value,
            incarnation=after.run,
            level=level,
            decision=origin,
        )
        writer.withheld.pop(after.name, None)
        say = self._log.warning if level == "warning" else self._log.info
        say(
            "unit.transition",
            unit=record.unit,
            before=record.before,
            after=record.after,
            state=record.after,
            reason=record.reason,
            cause=record.cause,
            on=record.on,
            happened=fact_in_words(record.fact),
            incarnation=record.incarnation,
            seq=record.seq,
            container=record.container,
            restarts=record.restarts,
            **({} if restart is None else {"restart": record.restart}),
            **({} if record.exit_code is None else {"exit_code": record.exit_code}),
        )
        if restart is not None:
            self._log.info(
                "unit.restarted",
                unit=record.unit,
                restart=record.restart,
                restarts=record.restarts,
                reason=record.reason,
                cause=record.cause,
                incarnation=record.incarnation,
                seq=record.seq,
                container=record.container,
            )

    def decision(self, decision: Decision) -> int:
        """Keep a decision, and return its number."""
        unit = decision.unit
        root = getattr(self._entry.event, "unit", unit)
        about_unit = self._reaction.world.find(unit)
        record = self._keep(
            event="unit.decision",
            level="debug",
            incarnation=None if about_unit is None else about_unit.run,
            fact=self._common["fact"] + ("" if root == unit else f" of {root}"),
            cause=decision.cause,
            unit=unit,
            rule=decision.rule,
            inputs=self._writer.store.apart(decision.inputs),
            outcome=decision.outcome,
            restart="" if decision.restart is None else decision.restart.value,
        )
        if self._writer.debug:
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
        """Keep a decision about a unit that stays in its state. One that is put off repeatedly is kept once."""
        known = self._writer.withheld
        if decision.rule in PUT_OFF and known.get(decision.unit) == decision.rule:
            return
        known[decision.unit] = decision.rule
        self._writer.plans.note(decision, self.decision(decision))

    def noted(self, event: UnitEvent) -> None:
        """Keep a fact that caused no transition but may explain one, such as a signal or a refused request."""
        unit = self._reaction.world.find(event.unit)
        if unit is None or getattr(event, "container", unit.container) != unit.container:
            return
        refused = next((answer.text for answer in self._reaction.answers if not answer.accepted), "")
        on = type(event).__name__
        level = "warning" if isinstance(event, fact.ContainerOomed) else "info" if isinstance(event, ASKS) else "debug"
        record = self._keep(
            event="unit.fact",
            cause=self._cause,
            unit=unit.name,
            after=unit.phase.value,
            on=on,
            reason=refused,
            incarnation=unit.run,
            level=level,
        )
        log = self._log
        say = log.warning if level == "warning" else log.info if level == "info" else log.debug
        say(
            "unit.fact",
            unit=unit.name,
            state=unit.phase.value,
            fact=record.fact,
            happened=fact_in_words(record.fact),
            **({"refused": refused} if refused else {}),
            cause=self._cause,
            seq=record.seq,
        )

    def world_event(self) -> None:
        match self._entry.event:
            case fact.EngineLost(reason=reason) if not self._reaction.world.engine_version:
                self._tell("engine.awaited", reason)  # Normal at boot: nothing has been lost.
            case fact.EngineLost(reason=reason):
                self._tell("engine.lost", reason, level="warning")
            case fact.EngineBack(version=version):
                self._tell("engine.back", "the event stream is open", version=version)
            case fact.SnapshotTaken():
                self._snapshot(self._entry.event)
            case fact.ConfigRead():
                self._config(self._entry.event)
            case fact.ConfigRefused(problems=problems):
                self._tell("config.refused", problems, level="error")
            case TroubleTold():
                self._trouble(self._entry.event)
            case fact.ShutdownAsked(reason=reason, total=total):
                self._tell("shutdown.asked", reason, total=total)
            case fact.ShutdownHurried(reason=reason):
                self._tell("shutdown.hurried", reason, level="warning")
            case _:
                pass  # A unit's fact: its transitions are logged.

    def _config(self, event: fact.ConfigRead) -> None:
        units, became = len(event.specs), self._reaction.world.reload
        if became is Reload.IN_FORCE:
            self._tell("config.read", f"{units} units are defined", units=units)
        elif became is Reload.WAITING:
            self._tell("config.waiting", "a switch is under way; it is read again at its end", units=units)
        else:
            self._tell("config.refused", self._reaction.world.troubles.get(Concern.CONFIGURATION, ""), level="error")

    def _trouble(self, event: TroubleTold) -> None:
        of = event.of.value
        if event.reason:
            self._tell("host.trouble", event.reason, level="error", of=of)
        else:
            self._tell("host.well", f"{of}: it works again", of=of)

    def _snapshot(self, event: fact.SnapshotTaken) -> None:
        corrected = sum(transition.on != "PeerChanged" for transition in self._reaction.transitions)
        said: dict[str, Any] = {"trigger": event.trigger, "containers": len(event.containers), "corrected": corrected}
        if corrected:
            self._tell("snapshot.taken", f"{corrected} corrections", **said)
        else:
            # Twice a minute, and nothing new: not kept in the ring.
            self._log.debug("snapshot.taken", **said, cause=self._cause)

    def switch(self, switch: Switch | SwitchOutcome) -> None:
        """A step, or the end, of a switch; kept with the unit that it is about."""
        unit = CONSOLE if switch.of is Switchable.CONSOLE else USER_DOCKER
        said: dict[str, Any] = {"of": switch.of.value, "origin": switch.origin, "target": switch.target}
        if isinstance(switch, SwitchOutcome):
            good = switch.result in {SwitchResult.DONE, SwitchResult.REFUSED}
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
        reason = f"incident {incident.id}: {incident.reason}"
        self._tell("incident.opened", reason, level="warning", unit=incident.root, incident=incident.id)

    def incident_closed(self, incident: Incident) -> None:
        lasted, units = round(incident.well - incident.opened, 3), list(incident.units)
        reason = f"incident {incident.id} resolved: {', '.join(units) or 'the engine'} healthy for {duration(CALM)}"
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
        about_unit = self._reaction.world.find(unit)
        run = None if about_unit is None else about_unit.run
        known = {"incident": said["incident"]} if "incident" in said else {}
        inputs = self._writer.store.apart(
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


def _crashed(moved: Transition) -> bool:
    """Whether a run ended by itself, with an error."""
    before, after = moved.before, moved.after
    if moved.on not in {"ContainerDied", "VerdictDue"} or before.phase in {Phase.STOPPING, Phase.DRAINING}:
        return False
    if after.phase is Phase.EXITED or after.stopped_by is not StoppedBy.NOBODY:
        return False  # Perhaps a person's stop, or certainly one.
    return after.exit_code not in {0, None} or after.pending is Reason.OOM


_HIDDEN = frozenset(
    {"unit", "container", "request", "token", "config_hash", "asked_after", "at", "look", "started", "run"}
)


def in_words(event: Event) -> str:
    """A fact's name and its fields, such as ``ContainerDied exit_code=137``. People see ``fact_in_words`` of it."""
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

"""What concerns all units: the engine comes and goes, a snapshot, the configuration, the shutdown."""

from typing import Any, assert_never

from units import engine_events
from units import events as fact
from units.events import WorldEvent
from units.links import check, shares
from units.quantities import NEVER, Instant, Seconds
from units.reconcile import beyond, leftovers, looks, reconcile, unread
from units.records import replace
from units.spec import CONSOLE, USER_DOCKER, Kind, Rebuild, UnitSpec
from units.step import LOOKING, Step
from units.tables.by_kind import rules_of
from units.troubles import Concern, Reload, TroubleTold
from units.unit import Phase, Stamp, StoppedBy, Unit, anonymous
from units.world import fresh_unit, is_ours

ENGINE_STOP = Seconds(20)
"""An engine that goes down without live-restore stops its containers first, as a person would, in at most 15 s."""


def take_look(step: Step, event: fact.ContainerLooked) -> None:
    """Store what an inspect showed of a container, and have units check their references to it."""
    unit = step.units.get(event.unit)
    if unit is None or unit.container != event.container:
        return
    before, new = unit.look, event.look
    changes: dict[str, Any] = {"look": new}
    if unit.spec.kind is not Kind.FOREIGN:
        changes["volumes"] = tuple((place, volume) for place, volume in new.mounts if anonymous(volume))
    if before is not None and before.address and new.address and before.address != new.address:
        changes["readdressed"] = unit.begun
    if unit.phase.up and unit.started_at == NEVER and event.started:
        changes |= {
            "started_at": Instant(step.moment.now - event.ran_for),
            "begun": Stamp(0, event.started),
        }
    step.put(replace(unit, **changes))
    for name in (unit.name, *step.world.links.followers.get(unit.name, ())):
        if step.units[name].phase in LOOKING:
            step.push(fact.PeerChanged(name, unit.name))


def take_event(step: Step, event: WorldEvent) -> None:
    match event:
        case fact.EngineBack() | fact.EngineLost() | engine_events.EngineStalled():
            _take_of_engine(step, event)
        case fact.SnapshotTaken():
            _take_snapshot(step, event)
        case fact.ConfigRead():
            _read_config(step, event)
        case fact.ConfigRefused(problems=problems):
            _refuse_config(step, problems)
        case TroubleTold(of=of, reason=reason):
            _note(step, of, reason)
        case fact.ShutdownAsked(total=total):
            _drain(step, total)
        case fact.ShutdownHurried():
            _hurry(step)
        case fact.ShutdownOverdue():
            step.world = replace(step.world, overdue=step.world.draining)
        case _:
            assert_never(event)


def _note(step: Step, of: Concern, reason: str) -> None:
    """A trouble begins, has another reason, or is over."""
    others = {concern: said for concern, said in step.world.troubles.items() if concern is not of}
    step.world = replace(step.world, troubles={**others, of: reason} if reason else others)


def _take_of_engine(step: Step, event: fact.EngineBack | fact.EngineLost | engine_events.EngineStalled) -> None:
    name = step.world.engine.name
    match event:
        case fact.EngineBack(version=version):
            step.world = replace(step.world, engine_version=version, engine_reason="connected; first snapshot pending")
        case fact.EngineLost(reason=reason):
            step.push(engine_events.EngineUnreachable(name, reason))
            _lose_engine(step, reason)
        case engine_events.EngineStalled(reason=reason):
            step.push(engine_events.EngineUnresponsive(name, reason))
            _miss_engine(step, f"does not answer: {reason}")


def _miss_engine(step: Step, reason: str) -> None:
    """Note that it does not serve, as long as it does not, and since when. Orders go on: it may answer those."""
    away = step.world.away
    if away is None and step.world.engine_up:
        away = step.moment.now
    step.world = replace(step.world, away=away, engine_reason=reason)


def _lose_engine(step: Step, reason: str) -> None:
    """Note the loss of the engine: no unit changes, but stops seen just before were the engine's, not a person's."""
    was_up = step.world.engine_up
    _miss_engine(step, reason)
    step.world = replace(step.world, engine_up=False)
    if not was_up:
        return
    if any(unit.phase.up for unit in step.units.values()):
        return  # It left units running, so it stopped none: the stopped ones were stopped by a person.
    for unit in tuple(step.units.values()):
        just_now = unit.phase is Phase.STOPPING or step.moment.now - unit.since < ENGINE_STOP
        if unit.stopped_by is StoppedBy.OUTSIDE and just_now:
            if step.world.draining:  # Both go down: the next boot starts it.
                step.put(replace(unit, stopped_by=StoppedBy.SHUTDOWN))
            else:
                step.push(fact.StopRevoked(unit.name))


def _take_snapshot(step: Step, event: fact.SnapshotTaken) -> None:
    came_up = not step.world.engine_up
    if came_up and event.trigger != "connect":
        return  # Asked before the engine went away; the one that counts is on its way.
    if step.world.watching:
        _meet(step, event)
    corrections = reconcile(step.units, event)
    for correction in corrections:
        step.push(correction)
    step.settle()
    for look in looks(step.units, event):
        take_look(step, look)
    _note_words(step, event)
    step.commands.extend(leftovers(step.units, event))
    _take_consoles(step, event)
    _take_orphans(step, event)
    if came_up or step.world.away is not None:
        step.world = replace(step.world, engine_up=True, away=None, engine_reason="serving")
    if came_up:
        step.poke("engine")
    if came_up or step.world.engine.phase is not Phase.SERVING:
        step.push(engine_events.EngineAnswered(step.world.engine.name, step.world.engine_version))


def _note_words(step: Step, event: fact.SnapshotTaken) -> None:
    """What the engine says of a container besides up and down, or why it says nothing."""
    unknown, words = unread(step.units, event), beyond(step.units, event)
    for name, unit in tuple(step.units.items()):
        why, word = unknown.get(name, unit.unread), words.get(name, unit.beyond)
        if (why, word) != (unit.unread, unit.beyond):
            step.put(replace(unit, unread=why, beyond=word))


def _meet(step: Step, snapshot: fact.SnapshotTaken) -> None:
    """Take containers that appeared, changed or left, on a host that is only watched."""
    seen = {one.unit for one in snapshot.containers}
    changed = False
    for one in snapshot.containers:
        if (spec := one.spec) is None:
            continue
        unit = step.units.get(spec.name)
        if unit is None:
            found = Unit(spec, Phase.INACTIVE, step.moment.now, reason="not running", cause=step.moment.cause)
            ended = not one.running and not one.created
            step.put(replace(found, exit_code=one.exit_code if ended else None, oom=ended and one.oom))
            changed = True
        elif unit.spec != spec:
            step.put(replace(unit, spec=spec))
            step.push(fact.SpecChanged(spec.name, spec))
            step.push(fact.PeerChanged(spec.name, spec.name))  # Another one may have the name that it means.
            changed = True
    needed = {edge.target for unit in step.units.values() for edge in unit.spec.dependencies}
    for name, unit in tuple(step.units.items()):
        if name not in seen | needed and unit.container is None and unit.phase is Phase.INACTIVE:
            step.drop(name)
            changed = True
    if changed:
        checked = check(unit.spec for unit in step.units.values())
        step.notices.extend(checked.warnings)
        step.world = replace(step.world, links=checked.links)


def _take_consoles(step: Step, event: fact.SnapshotTaken) -> None:
    """Note the other consoles, and stop a second one that an interrupted switch left running."""
    chosen = step.units.get(CONSOLE)
    if chosen is None or step.world.switch is not None:
        return
    from units.tables import console  # noqa: PLC0415 - not every host has one

    others = console.parked(step.world.consoles, chosen.spec.variant, event.containers)
    gone = {name for name in step.world.parked.keys() - others.keys() if _persists(step, name)}
    pruned = (step.world.pruned | gone) - others.keys() - {chosen.spec.variant}
    step.world = replace(step.world, parked=others, pruned=pruned)
    step.notices.extend(
        f"the container of the persistent console {name} was removed, with the files in it; `dockwarden console switch"
        f" {name} --empty` makes a new one"
        for name in sorted(gone & pruned)
    )
    step.commands.extend(console.park(step.world.consoles, others, chosen.spec))


def _persists(step: Step, variant: str) -> bool:
    spec = step.world.consoles.get(variant)
    return spec is None or spec.rebuild is not Rebuild.ALWAYS


def _take_orphans(step: Step, event: fact.SnapshotTaken) -> None:
    """Note what runs of units that left the configuration while no supervisor ran; nothing is done to it."""
    found = tuple(sorted(one.name for one in event.containers if one.running and one.unit not in step.units))
    if found == step.world.orphans or step.world.watching:
        return
    step.world = replace(step.world, orphans=found)
    said = (
        f"no unit of the configuration, and running on: {', '.join(found)}; end them with docker rm -f, or define them"
    )
    _note(step, Concern.ORPHANS, said if found else "")
    step.notices.extend([said] if found else [])


def _drain(step: Step, total: Seconds) -> None:
    if step.world.draining:
        return
    step.world = replace(step.world, draining=True)
    if step.world.switch is not None:
        from units.switch import turns  # noqa: PLC0415 - most hosts never switch

        turns.drop(step, step.world.switch)
    timeouts = {name: unit.spec.stop.timeout for name, unit in step.units.items()}
    share = shares(step.world.links, timeouts, total)
    # User Docker first: also when it is dead it may have left what must end before its context does.
    for name in sorted(step.units, key=lambda name: name != USER_DOCKER):
        step.push(fact.DrainAsked(name, share[name]))


def _hurry(step: Step) -> None:
    if not step.world.draining:
        _drain(step, Seconds(0))
    for name in step.units:
        step.push(fact.HurryAsked(name))


def end_engine(step: Step) -> None:
    """The last unit has ended, or there is no more time for them: now the engine ends, where it is ours."""
    world = replace(step.world, units=step.units)
    if world.units_drained and is_ours(world.engine) and world.engine.wanted:
        from units.tables.system_docker import ENGINE_GRACE  # noqa: PLC0415 - only whose engine is ours has its table

        step.push(fact.DrainAsked(world.engine.name, ENGINE_GRACE))


def _refuse_config(step: Step, problems: str) -> None:
    said = f"configuration refused, the current one stays in force: {problems}"
    step.notices.append(said)
    step.world = replace(step.world, reloading=frozenset(), reload=Reload.REFUSED)
    if not step.world.watching:  # Which has no configuration to be mended.
        _note(step, Concern.CONFIGURATION, said)
    step.poke("configuration")


def _change_specs(step: Step, specs: tuple[UnitSpec, ...], later: str) -> None:
    """Apply a configuration that was read again; only the units whose definition changed are touched."""
    checked = check((*specs, *_gone(step, specs)))
    step.notices.extend(checked.warnings)
    if checked.errors:
        _refuse_config(step, "; ".join(checked.errors))
        return
    step.world = replace(step.world, links=checked.links, reloading=frozenset(), reload=Reload.IN_FORCE)
    _note(step, Concern.CONFIGURATION, "")
    _note(step, Concern.RESTART, later)
    step.notices.extend([later] if later else [])
    for spec in specs:
        old = step.units.get(spec.name)
        if old is None:
            step.put(fresh_unit(spec, step.moment.now, step.moment.cause))
        elif old.spec != spec:
            if old.spec.kind is not spec.kind:
                phase = _phase_for(old, spec.kind)
                old = replace(old, phase=phase, token=old.token + (phase is not old.phase))
            step.put(replace(old, spec=spec))
            step.push(fact.SpecChanged(spec.name, spec))
        if old is not None and old.stopped_by is StoppedBy.CONFIG:
            step.push(fact.StartAsked(spec.name))
    for spec in _gone(step, specs):
        if step.units[spec.name].stopped_by is not StoppedBy.CONFIG:
            step.push(fact.StopAsked(spec.name, by=StoppedBy.CONFIG))
    step.settle()
    step.poke("configuration")


def _read_config(step: Step, event: fact.ConfigRead) -> None:
    if step.world.switch is None:
        _change_specs(step, _with_present_console(step, event), event.later)
        return
    step.world = replace(step.world, reloading=frozenset(), reload=Reload.WAITING)
    step.poke("configuration")


def _with_present_console(step: Step, event: fact.ConfigRead) -> tuple[UnitSpec, ...]:
    """The new definitions with the present console: another one takes a switch, never a reload."""
    unit = step.units.get(CONSOLE)
    if unit is not None and event.consoles:
        present = unit.spec.variant
        consoles = {spec.variant: spec for spec in event.consoles}
        chosen = next((spec.variant for spec in event.specs if spec.name == CONSOLE), present)
        if chosen != present:
            step.notices.append(
                f"the configuration asks for the console {chosen}, but {present} is running;"
                f" run `dockwarden console switch {chosen}`"
            )
        # One that lost its definition keeps running: a missing definition is no changed one.
        kept = consoles.setdefault(present, unit.spec)
        step.world = replace(step.world, consoles=consoles)
        return tuple(kept if spec.name == CONSOLE else spec for spec in event.specs)
    step.world = replace(step.world, consoles={spec.variant: spec for spec in event.consoles})
    return event.specs


def _gone(step: Step, specs: tuple[UnitSpec, ...]) -> tuple[UnitSpec, ...]:
    """Units that the configuration no longer has: without dependencies, so that no unit waits for them."""
    known = {spec.name for spec in specs}
    return tuple(replace(unit.spec, dependencies=()) for name, unit in step.units.items() if name not in known)


def _phase_for(unit: Unit, kind: Kind) -> Phase:
    """The phase of a unit whose kind changed, as its new table knows it."""
    if unit.phase in rules_of(kind).phases:
        return unit.phase
    return Phase.RUNNING if kind is Kind.ONESHOT else Phase.INACTIVE

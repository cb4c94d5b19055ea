"""Handlers of consoles, storage contexts and engines."""

from collections.abc import Awaitable, Callable
from typing import Any

from supervisor.engine.port import EngineError, UserEngine
from supervisor.http.control.commands import Commands
from supervisor.http.control.request import Refusal, Taken, flag, in_json, named, reached, seconds
from supervisor.http.server import BaseRequest, Response
from supervisor.state.choices import Choices, StateError
from units.commands import CheckSwitch
from units.spec import CONSOLE, USER_DOCKER, Switchable, UnitName
from units.switch.table import check_of
from units.switch_events import SwitchAsked
from units.tables.storage import contexts
from units.world import World

OWN_ENGINE = "own"
"""The name by which the context's own engine is selected."""


class SwitchCommands:
    """The handlers."""

    def __init__(
        self,
        *,
        asking: Commands,
        world: Callable[[], World],
        status: Callable[[], dict[str, Any]],
        choices: Choices | None,
        user_docker: UserEngine | None,
        fits: Callable[[CheckSwitch], Awaitable[tuple[str, ...]]] | None = None,
    ) -> None:
        self._asking = asking
        self._world = world
        self._status = status
        self._choices = choices
        self._user_docker = user_docker
        self._fits = fits
        """Makes the checks of a switch."""

    async def switch(self, request: BaseRequest, taken: Taken) -> Response:
        """Answered at the end of the switch, or after ``wait`` seconds; then the switch continues."""
        of, name = _switchable(taken)
        force, anew, empty = (flag(request, name) for name in ("force", "anew", "empty"))
        wait = seconds(request, "wait")
        with self._asking.asked(
            request, "switch", CONSOLE, lambda number: SwitchAsked(of, name, number, force, anew, empty)
        ) as ask:
            await reached(ask.answered, max(wait, 1.0))
        answer, status = ask.answer, self._status()["switch"]
        if answer is None:
            return in_json({"done": False, "answer": "the switch is under way", "switch": status["now"]}, 202)
        if not answer.accepted:
            raise Refusal(409, answer.text, f"see 'dockwarden why {_about(of)}'")
        return in_json({"done": True, "answer": answer.text, "switch": status["last"]})

    async def enable(self, _request: BaseRequest, taken: Taken) -> Response:
        """Choose what the next boot uses; nothing is switched now."""
        of, name = _switchable(taken)
        known = self._known(of)
        if known is not None and name not in known:
            raise Refusal(404, f"there is no {of} '{name[:80]}'", f"there are: {', '.join(known) or 'none'}")
        if self._choices is None:
            raise Refusal(503, "choices cannot be saved", "see the log")
        if self._fits is not None:
            wanted = check_of(SwitchAsked(of, name, force=True), 0, self._world())
            if doubts := await self._fits(wanted):
                raise Refusal(409, f"the next boot would not come up with it: {'; '.join(doubts)}", "choose another")
        try:
            await self._choices.choose(of, name)
        except StateError as error:
            raise Refusal(503, f"the choice was not saved: {error}", "free the state directory") from error
        return in_json({"answer": f"the {of} of the next boot is {name or 'own'}"})

    def _known(self, of: Switchable) -> list[str] | None:
        """The names that can be chosen; ``None``: any can, for only a context that runs knows its engines."""
        match of:
            case Switchable.CONSOLE:
                return sorted(self._world().consoles)
            case Switchable.STORAGE:
                return list(map(str, contexts(self._world().units)))
            case Switchable.ENGINE:
                return None

    async def check(self, _request: BaseRequest, taken: Taken) -> Response:
        unit = named(self._world(), taken["name"])
        if self._user_docker is None:
            raise Refusal(409, "there is no user Docker", "configure rancher.docker")
        if unit.container is None:
            return in_json({"context": unit.name, "fits": False, "problems": [f"{unit.name} has no container"]})
        try:
            docker = self._world().units.get(USER_DOCKER)
            engine = "" if docker is None else docker.spec.engine
            problems = await self._user_docker.check(unit.container, engine)
        except EngineError as error:
            raise Refusal(503, str(error), "try again") from error
        return in_json({"context": unit.name, "fits": not problems, "problems": list(problems)})

    async def engines(self, _request: BaseRequest, _taken: Taken) -> Response:
        unit = self._world().units.get(USER_DOCKER)
        if self._user_docker is None or unit is None:
            raise Refusal(409, "there is no user Docker", "configure rancher.docker")
        context = self._world().units.get(unit.spec.context) if unit.spec.context else None
        found: list[dict[str, str]] = []
        if context is not None and context.container is not None:
            try:
                found = await self._user_docker.engines(context.container)
            except EngineError as error:
                raise Refusal(503, str(error), "try again") from error
        engines = [{**one, "name": one["name"] or OWN_ENGINE} for one in found]
        report = self._user_docker.report
        return in_json(
            {
                "current": (unit.spec.engine or OWN_ENGINE) if unit.alive else None,
                "version": report.version or None,
                "binary": report.binary or None,
                "engines": engines,
            }
        )


def _switchable(taken: Taken) -> tuple[Switchable, str]:
    if taken["of"] not in set(Switchable):
        raise Refusal(404, f"'{taken['of'][:80]}' cannot be switched", f"what can: {', '.join(Switchable)}")
    of = Switchable(taken["of"])
    return of, "" if of is Switchable.ENGINE and taken["name"] == OWN_ENGINE else taken["name"]


def _about(of: Switchable) -> UnitName:
    return CONSOLE if of is Switchable.CONSOLE else USER_DOCKER

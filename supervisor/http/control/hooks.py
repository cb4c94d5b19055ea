"""Handlers of hooks: list, test, enable, disable, reload."""

from collections.abc import Callable

from hooks.errors import UnknownHookError
from hooks.presence import HostHooks
from supervisor.http.control.request import Refusal, Taken, in_json
from supervisor.http.server import BaseRequest, Response, Route


class HookRoutes:
    """``hooks``: those of the host; None where there are none."""

    def __init__(self, hooks: Callable[[], HostHooks | None]) -> None:
        self._given = hooks

    @property
    def _hooks(self) -> HostHooks | None:
        return self._given()

    def table(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v1/hooks", self._list),
            Route("POST", "/v1/hooks/reload", self._reload),
            Route("POST", "/v1/hooks/test/{event}", self._test, frozenset({"unit"})),
            Route("POST", "/v1/hooks/enable/{name}", self._enable),
            Route("POST", "/v1/hooks/disable/{name}", self._disable),
        )

    async def _list(self, _request: BaseRequest, _taken: Taken) -> Response:
        return in_json([] if self._hooks is None else self._hooks.listed())

    async def _reload(self, _request: BaseRequest, _taken: Taken) -> Response:
        """Answered when the Python hooks are known."""
        if self._hooks is not None:
            self._hooks.reload()
            await self._hooks.ready()
        return in_json([] if self._hooks is None else self._hooks.listed())

    async def _test(self, request: BaseRequest, taken: Taken) -> Response:
        """Answered when all of them have ended, or were killed."""
        try:
            told = [] if self._hooks is None else await self._hooks.test(taken["event"], request.query.get("unit", ""))
        except KeyError:
            from hooks.happenings import ALL as EVENTS  # noqa: PLC0415 - loaded with the first hook
            from hooks.points import POINTS  # noqa: PLC0415 - as above

            raise Refusal(
                404, f"there is no event '{taken['event'][:80]}'", f"there are: {', '.join((*EVENTS, *POINTS))}"
            ) from None
        return in_json(told)

    async def _enable(self, _request: BaseRequest, taken: Taken) -> Response:
        return self._switch(taken["name"], on=True)

    async def _disable(self, _request: BaseRequest, taken: Taken) -> Response:
        return self._switch(taken["name"], on=False)

    def _switch(self, name: str, *, on: bool) -> Response:
        if self._hooks is None:
            raise Refusal(404, f"there is no hook '{name[:80]}'", "there are none here")
        try:
            self._hooks.switch(name, on=on)
        except UnknownHookError as error:
            raise Refusal(404, f"there is no hook '{name[:80]}'", str(error)) from error
        except OSError as error:
            raise Refusal(
                500, f"the choice cannot be saved: {error}", "check that the state directory is writable"
            ) from error
        return in_json({"hook": name, "on": on})

"""The status page for people: one document, its two files, and the stream that keeps it up to date. Read only.

Loaded when it is first asked for. It shows names, states and reasons: no environment, no command, no secret.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from supervisor.http.pages import html, model
from supervisor.http.pages.live import READERS, Live
from supervisor.http.server import BaseRequest, Response, StreamResponse
from supervisor.http.sse import stream
from supervisor.journal.journal import Journal
from supervisor.journal.why import why
from supervisor.views import graph
from supervisor.views.graph_layout import Layout
from supervisor.views.graph_svg import picture, place
from supervisor.views.status import Context
from units.spec import UnitName
from units.world import World

FILES = Path(__file__).parent / "static"
TYPES = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}

DRAWN = 100
"""Units in a picture at most: to place as many takes a thirtieth of a second, in which nothing else happens."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""``no-cache``: kept, but asked about each time; mostly the answer is 304."""


class StatusPage:
    """Answers what belongs to the page. ``checks`` gives what a unit's health checks said last."""

    def __init__(
        self,
        *,
        world: Callable[[], World],
        context: Callable[[], Context],
        journal: Journal,
        checks: Callable[[UnitName], list[dict[str, Any]]],
        now: Callable[[], str],
    ) -> None:
        self._world = world
        self._context = context
        self._journal = journal
        self._checks = checks
        self._now = now
        self.live = Live(world, context, journal, now)
        self._files: dict[str, bytes] = {}
        self._placed: tuple[object, Layout] | None = None
        """The graph that was drawn last, and where everything of it went."""

    async def document(self, request: BaseRequest) -> Response:
        """The page, with the details of the unit in ``?unit=``."""
        asked = parse_qs(request.rel_url.raw_query_string).get("unit", [""])[0]
        sight = model.look(self._world(), self._context())
        state = model.whole(sight, self._journal.records()[-model.SHOWN :], self._now())
        picture_, details = self._picture(state["units"], alone=False), self._details(asked)
        # The longest part, and it needs nothing that could change meanwhile.
        body = await asyncio.to_thread(html.document, state, picture_, details)
        # The moment of asking is on the page: what says the same of the host is as good for the rest of the minute.
        same = json.dumps([{**state, "now": state["now"][:16]}, asked], sort_keys=True)
        return _tagged(request, body.encode(), "text/html", same.encode(), {"Vary": "Accept"})

    def file(self, request: BaseRequest, name: str) -> Response:
        body = self._files.get(name) or self._files.setdefault(name, (FILES / name).read_bytes())
        return _tagged(request, body, TYPES[name])

    def graph(self, request: BaseRequest) -> Response:
        sight = model.look(self._world(), self._context())
        alone = request.rel_url.raw_query_string != "page"
        # It stands alone with a style sheet of its own, which the page's policy would not let it have.
        loose = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"} if alone else {}
        return _tagged(request, self._picture(sight.rows.values(), alone=alone).encode(), "image/svg+xml", more=loose)

    def unit(self, name: str) -> Response:
        """What opens below a unit, as JSON."""
        found = self._details(name)
        body = {"error": "there is no such unit"} if found is None else found
        return Response(
            body=json.dumps(body).encode(),
            status=404 if found is None else 200,
            headers={**HEADERS, "Content-Type": "application/json"},
        )

    async def follow(self, request: BaseRequest) -> StreamResponse:
        """The state, then what changes."""
        if self.live.full:
            said = f"{READERS} pages are open already: close one, or look again later\n"
            return Response(text=said, status=503, headers={"Retry-After": "10"})
        return await stream(request, self.live.read())

    def close(self) -> None:
        self.live.close()

    def _details(self, name: str) -> dict[str, Any] | None:
        world = self._world()
        if UnitName(name) not in world.units:
            return None
        return model.details(why(self._journal, world, UnitName(name)), self._checks(UnitName(name)), world.links)

    def _picture(self, rows: Iterable[Mapping[str, Any]], *, alone: bool) -> str:
        drawn = graph.read(graph.plain(self._world().links, rows))
        if len(drawn.nodes) > DRAWN:
            return "" if not alone else picture(graph.Graph((), ()))
        ties = (tuple(node.name for node in drawn.nodes), drawn.edges)
        if self._placed is None or self._placed[0] != ties:
            self._placed = (ties, place(drawn))
        return picture(drawn, self._placed[1], alone=alone)


def _tagged(
    request: BaseRequest,
    body: bytes,
    kind: str,
    of: bytes | None = None,
    more: Mapping[str, str] = {},
) -> Response:
    """With a tag of ``of`` (or the body), or 304 for who has it."""
    tag = f'W/"{hashlib.blake2s(body if of is None else of, digest_size=12).hexdigest()}"'
    headers = {**HEADERS, "ETag": tag, **more}
    if tag in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers=headers)
    return Response(body=body, headers={**headers, "Content-Type": f"{kind}; charset=utf-8"})

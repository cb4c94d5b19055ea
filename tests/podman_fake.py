"""A fake of Podman's Docker socket, as 4.3 and 5.4 were seen to answer."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.docker_29 import FakeDocker


@dataclass
class FakePodman(FakeDocker):
    """``major`` 4: a death is filtered by ``died``, and a verdict is only in inspect; 5: it is a field of the event."""

    version: str = "4.3.1"
    lowest: str = "1.24"
    highest: str = "1.41"
    more_of_version: dict[str, Any] = field(
        default_factory=lambda: {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]}
    )
    filters: list[dict[str, list[str]]] = field(default_factory=list)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def check(self, name: str, verdict: str) -> None:
        """A HEALTHCHECK was run; each run is told."""
        self.named(name)["State"]["Health"] = {"Status": verdict}
        self.named(name)["Config"]["Healthcheck"] = {"Test": ["CMD", "true"]}
        self.tell("health_status", name)
        if self.major >= 5:
            self._ring[-1]["HealthStatus"] = verdict

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.filters.append(json.loads(request.query["filters"]))
        return await super()._events(request)

    def heard_by(self, word: str) -> bool:
        return word in self.filters[-1]["event"]

    def die(self, name: str, code: int = 1) -> None:
        """Told to who asked for it in this release's word."""
        self.deaf = not self.heard_by("died" if self.major < 5 else "die")
        super().die(name, code)
        self.deaf = False

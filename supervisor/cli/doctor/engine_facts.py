"""Asks an engine what the doctor's checks judge, with every wait bounded; what is wrong with it does not raise."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from supervisor.cli.doctor.facts import EngineFacts
from supervisor.engine.address import Address, AddressError, resolve
from supervisor.engine.api_version import speech
from supervisor.http.client import BudgetClient, UnansweredError
from supervisor.http.reach import Reach
from supervisor.logs.timestamps import started
from supervisor.state.paths import usable

MOST = 500
"""Containers that are looked at."""


def engine_facts(named: str | None, environ: Mapping[str, str]) -> EngineFacts:
    try:
        address = resolve(named, environ, usable).address
        engine = _client(address)
    except AddressError as error:
        return EngineFacts(named or "", Reach.NO_URL, str(error))
    url = address.url
    through = _Through(engine)
    try:
        through.ask("/_ping", in_json=False)
        version = through.ask("/version")
        spoken = f"/v{_speaks(version)}"
        asked = time.time()
        info = through.ask(f"{spoken}/info")
        answered = time.time()
    except UnansweredError as error:
        return EngineFacts(url, error.reach, error.said)
    if not isinstance(version, dict) or not isinstance(info, dict):
        return EngineFacts(url, Reach.NONSENSE, "the answer is not a Docker engine's")
    seen, mute = _containers(through, spoken)
    stamp = started(info.get("SystemTime"))
    # Within the call it may have looked at its clock at any time.
    ahead = 0.0 if asked <= stamp <= answered else stamp - (answered if stamp > answered else asked)
    return EngineFacts(
        url,
        Reach.SERVES,
        version=version,
        info=info,
        containers=seen,
        mute=mute,
        unnamed_volumes=_unnamed(through, spoken),
        barred=tuple(through.barred),
        ahead=ahead if stamp else None,
    )


class _Through:
    """Asks what a proxy may refuse: then the answer is empty, and the call is remembered."""

    def __init__(self, engine: BudgetClient) -> None:
        self._engine = engine
        self.barred: dict[str, None] = {}
        """Each call once, without the version, ids and the query."""

    def ask(self, asked: str, patience: float = BudgetClient.PATIENCE, *, in_json: bool = True) -> Any:
        """Raises UnansweredError for everything else."""
        try:
            return (self._engine.get if in_json else self._engine.raw)(asked, patience)
        except UnansweredError as error:
            if error.reach is not Reach.BARRED:
                raise
            plain = re.sub(r"^/v[0-9.]+(?=/)|\?.*", "", asked)
            self.barred[re.sub(r"(?<=/)[0-9a-f]{12,}(?=/)", "*", plain)] = None
            return {}


def _client(address: Address) -> BudgetClient:
    """Raises AddressError."""
    if address.path:
        return BudgetClient(Path(address.path))
    tls = None
    if address.tls is not None:
        from supervisor.engine.connect import trust  # noqa: PLC0415 - brings ssl and asyncio

        tls = trust(address.tls)
    return BudgetClient((address.host, address.port), base=address.base, tls=tls)


def _speaks(version: Any) -> str:
    told = version if isinstance(version, dict) else {}
    return speech(str(told.get("MinAPIVersion") or ""), str(told.get("ApiVersion") or "")).calls


def _containers(through: _Through, spoken: str) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """The containers that could be inspected, and the names of those that timed out."""
    try:
        rows = through.ask(f"{spoken}/containers/json?all=1")
    except UnansweredError:
        return (), ("the list of containers",)
    seen: list[Mapping[str, Any]] = []
    mute: list[str] = []
    for row in (rows if isinstance(rows, list) else ())[:MOST]:
        try:
            found = through.ask(f"{spoken}/containers/{quote(str(row['Id']))}/json", 2.0)
            seen.append({**found, "started": started(found["State"]["StartedAt"])})
        except UnansweredError as error:
            if error.reach is Reach.HANGS:  # Else it has gone meanwhile.
                mute.append(str((row.get("Names") or [row["Id"][:12]])[0]).lstrip("/"))
        except (KeyError, TypeError):
            continue
    return tuple(seen), tuple(mute)


def _unnamed(through: _Through, spoken: str) -> tuple[str, ...]:
    try:
        answer = through.ask(f"{spoken}/volumes?filters=" + quote('{"dangling":["true"]}'))
        names = [str(one["Name"]) for one in answer.get("Volumes") or ()]
    except (UnansweredError, AttributeError, KeyError, TypeError):
        return ()
    return tuple(name for name in names if re.fullmatch("[0-9a-f]{64}", name))

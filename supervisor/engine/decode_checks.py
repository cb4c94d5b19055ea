"""Decodes what health checks need: where a container is, and what its checks and commands came to. Pure."""

from typing import Any

from supervisor.engine.decode import UNKNOWN_EXIT, as_map, as_text, number
from supervisor.engine.port import CheckLine, ContainerAddress
from supervisor.logs.timestamps import started
from units.bounded import shortened

LONGEST_OUTPUT = 4096
"""Characters of a check's output, as engines themselves keep it."""


def whereabouts(found: Any) -> ContainerAddress:
    """One answer of ``/containers/ID/json``: the first address of any of its networks will do."""
    state, settings = as_map(as_map(found).get("State")), as_map(as_map(found).get("NetworkSettings"))
    addresses = [as_text(as_map(one).get("IPAddress")) for one in as_map(settings.get("Networks")).values()]
    return ContainerAddress(
        pid=number(state.get("Pid"), 0),
        address=next((address for address in (as_text(settings.get("IPAddress")), *addresses) if address), ""),
        host_network=as_text(as_map(as_map(found).get("HostConfig")).get("NetworkMode")) == "host",
        started=started(state.get("StartedAt")),
        sandbox=as_text(settings.get("SandboxKey")),
    )


def rootless(info: Any) -> bool:
    """An answer of ``/info``: whether the engine and its networks live in a namespace of a user."""
    options = as_map(info).get("SecurityOptions")
    return any("name=rootless" in as_text(one).split(",") for one in (options if isinstance(options, list) else ()))


def health_log(found: Any) -> tuple[CheckLine, ...]:
    told = as_map(as_map(as_map(found).get("State")).get("Health")).get("Log")
    return tuple(
        CheckLine(
            as_text(as_map(one).get("End")),
            number(as_map(one).get("ExitCode"), UNKNOWN_EXIT),
            shortened(as_text(as_map(one).get("Output")), LONGEST_OUTPUT),
        )
        for one in (told if isinstance(told, list) else ())
    )


def exec_exit(found: Any) -> int | None:
    """One answer of ``/exec/ID/json``; ``None`` while it runs."""
    told = as_map(found)
    return None if told.get("Running") is True else number(told.get("ExitCode"), UNKNOWN_EXIT)

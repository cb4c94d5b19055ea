"""Names of containers that are being replaced: twelve hex digits before the name, as Compose writes them. Pure."""

import re

from units.spec import ContainerId

SHORT = 12
"""Length of the short id that engines use as a name."""
_REPLACED = re.compile(f"[0-9a-f]{{{SHORT}}}_(.+)", re.DOTALL)


def aside(container: ContainerId, name: str) -> str:
    """What a container is called that made room for its successor."""
    return f"{container[:SHORT]}_{name}"


def ahead(name: str) -> str:
    """What the successor is called until then. No id begins like this."""
    return f"{'0' * SHORT}_{name}"


def replaced(name: str) -> bool:
    """The name of a container that is being replaced, or that replaces one."""
    return _REPLACED.fullmatch(name) is not None


def lasting(name: str) -> str:
    """The name without that: what a reference to such a container means."""
    found = _REPLACED.fullmatch(name)
    return found[1] if found else name

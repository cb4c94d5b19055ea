"""Decodes who is in a network. Pure."""

from typing import Any

from supervisor.engine.decode import as_map


def runs(found: Any) -> bool:
    """One answer of ``/containers/ID/json``; nothing means that it is gone."""
    return as_map(as_map(found).get("State")).get("Running") is True


def endpoints(network: Any, name: str) -> tuple[str, ...]:
    """One answer of ``/networks/NAME``: which containers have an endpoint of this name.

    One without a container is listed as ``ep-`` and its own id.
    """
    found = as_map(as_map(network).get("Containers"))
    return tuple(ident for ident, one in found.items() if ident.isalnum() and as_map(one).get("Name") == name)

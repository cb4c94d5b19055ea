"""Tests that share a host run on one worker; each of the others goes to whichever worker is free."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and (shared := _shared(item)):
            item.add_marker(pytest.mark.xdist_group(shared))


def _shared(item: pytest.Function) -> str:
    """What its host is known by; empty for a test that has its own."""
    definitions = (one[-1] for name, one in item._fixtureinfo.name2fixturedefs.items() if name != "engine_version")
    if not any(one.scope == "module" for one in definitions):
        return ""
    version = item.callspec.params.get("engine_version", "") if hasattr(item, "callspec") else ""
    return f"{item.path.stem} {version}".strip()

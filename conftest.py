"""Options that tests of all kinds understand."""

import os

import pytest
from hypothesis import settings

from tests.bed import engines
from tests.bed.signals import heed_signals

heed_signals()

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("dockwarden")
    group.addoption("--seed", type=int, help="replay the one history that this seed makes")
    group.addoption("--histories", type=int, default=500, help="how many histories to simulate")
    group.addoption("--every-engine", action="store_true", help="run each test on each engine")
    group.addoption("--long", action="store_true", help="run what the usual stages leave out, and nothing else")
    group.addoption("--rootless", action="store_true", help="the contract of the engine port on a rootless engine")
    group.addoption("--engine-version", action="append", help="an engine to test against, such as 26.1 (repeatable)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: only `nox -s long` and `nox -s everywhere` run it")
    config.addinivalue_line("markers", "every_engine: engines differ in it; `nox -s long` runs it on the others")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What asks for an ``engine_version`` can be run with each."""
    if "engine_version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("--engine-version") or engines.default_versions()
        metafunc.parametrize("engine_version", versions, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave each test one engine, drawn by its name, and the long ones out.

    ``--long`` runs those, and what engines were seen to differ in on the other engines; ``--every-engine`` runs all.
    """
    if config.getoption("--every-engine") or config.getoption("--engine-version"):
        return
    versions = {item.nodeid: version for item in items if (version := _engine(item)) is not None}
    left_out = versions.keys() - engines.drawn(versions)
    if not any("::" in named for named in config.args):  # Who names a test means it.
        long, differing = (
            {item.nodeid for item in items if item.get_closest_marker(mark) is not None}
            for mark in ("long", "every_engine")
        )
        if config.getoption("--long"):
            kept = (long - left_out) | (differing & (long | left_out))
            left_out = {item.nodeid for item in items} - kept
        else:
            left_out |= long
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def _engine(item: pytest.Item) -> str | None:
    """The real engine that a test runs on, if it can run on others as well."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return None
    version: str | None = callspec.params.get("engine_version")
    where, _, of = str(callspec.params.get("kind", "")).partition("-")
    return of if where == "real" else version

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
    group.addoption("--histories", type=int, default=800, help="how many histories to simulate")
    group.addoption("--engine-version", action="append", help="an engine to test against, such as 26.1 (repeatable)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test or fixture that asks for an `engine_version` once with each."""
    if "engine_version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("--engine-version") or engines.default_versions()
        metafunc.parametrize("engine_version", versions, scope="module")

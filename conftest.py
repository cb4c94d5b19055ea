"""Options that tests of all kinds understand."""

import os
import zlib

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
    group.addoption("--every-engine", action="store_true", help="run also what one engine is enough for on each")
    group.addoption("--engine-version", action="append", help="an engine to test against, such as 26.1 (repeatable)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_engine: what is tested does not depend on the engine's version")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for an `engine_version` once with each; what is marked only with one, drawn by its name."""
    if "engine_version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("--engine-version") or engines.default_versions()
        everywhere = metafunc.config.getoption("--every-engine")
        if metafunc.definition.get_closest_marker("one_engine") is not None and not everywhere:
            versions = [versions[zlib.crc32(metafunc.definition.name.encode()) % len(versions)]]
        metafunc.parametrize("engine_version", versions, scope="module")

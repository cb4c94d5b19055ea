"""Tests that share a host run on one worker; each of the others goes to whichever worker is free."""

import re
from collections.abc import Generator
from functools import cache

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.bed.engines import REPOSITORY
from tests.boot.host import HOSTS


class HostScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out tests by their host: one of a module and an engine, or one of a test alone."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if not shares_hosts(path):
            return nodeid
        version = re.search(r"\[(\d+\.\d+)", test)
        return f"{path} {version[1]}" if version else path


@cache
def shares_hosts(path: str) -> bool:
    return 'scope="module"' in (REPOSITORY / path).read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> HostScheduling:
    return HostScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += [(f"log of {host.dir}", host.last_lines()) for host in HOSTS if host.log]
    return report

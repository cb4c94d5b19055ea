"""The control API on a real host: a program waits, follows, and is told what it missed; the log says who asked."""

import os
from collections.abc import Iterator

import pytest

from script.demohost.host import demo_host
from supervisor.api import Dockwarden, Event, Gap
from tests.bed import engines
from tests.bed.bed import Bed
from tests.bed.leftovers import traces


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as one:
        yield one
    assert traces(one.ident) == []


@pytest.mark.long
def test_a_program_waits_and_follows_over_a_crash_of_the_supervisor(bed: Bed) -> None:
    """A kill is followed as it happens; after a kill -9 of the supervisor a gap says that records are missing."""
    host = demo_host(bed, engines.system_version())
    host.boot("--control-readers", "everybody")
    host.wait_up("ntp")
    api = Dockwarden(host.run_dir)
    assert api.wait("ntp", "ready", timeout=30).restarts == 0
    stream = api.follow("ntp", seen="1-1")
    assert isinstance(next(stream).what, Gap)
    host.docker.post("/containers/ntp/kill")
    for told in stream:
        if isinstance(told.what, Event) and told.what.on == "ContainerDied" and told.what.exit_code == 137:
            break
    stream.close()
    assert api.wait("ntp", "ready", timeout=30).restarts == 1

    assert host.cli("stop", "ntp").returncode == 0
    assert host.cli("wait", "ntp", "--for", "stopped").returncode == 0
    hopeless = host.cli("wait", "ntp", "--timeout", "60")
    assert (hopeless.returncode, "it cannot reach it without intervention" in hopeless.stderr) == (1, True)
    asked = host.wait_for_line("the stop", lambda line: line["event"] == "control.asked")
    assert (asked["uid"], asked["verb"], asked["unit"], asked["outcome"]) == (os.getuid(), "stop", "ntp", "done")
    assert f"(uid {os.getuid()})" in host.cli("events", "--unit", "ntp").stdout

    host.kill9()
    host.boot()
    host.wait_up("syslog")
    again = api.follow("ntp", seen=told.id)
    assert isinstance(next(again).what, Gap)
    again.close()
    assert not (host.run_dir / "control-ro.sock").exists()
    assert host.end() == 0

"""What is looked up in another process's file system, without an engine."""

import asyncio
import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.dockerd.container_fs import filesystem_of, find_engine, same_mounts
from supervisor.dockerd.process import last_words, started_at
from supervisor.dockerd.rooted_path import within
from supervisor.dockerd.run_files import ProcessRecord
from supervisor.dockerd.user_docker import SERVES, UserDocker, _Run
from supervisor.runtime.loop import Inbox
from tests.simulation.engine_model import FakeEngine
from tests.simulation.running import SILENT
from units.events import HealthReported
from units.health import Health
from units.quantities import Seconds
from units.tables.storage import ContextFacts, lacks, wanted


def test_links_of_another_root_lead_within_it(tmp_path: Path) -> None:
    """Debian's /var/run is a link to /run: followed from outside it would lead to the host's."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "up").symlink_to("../../../etc")
    (tmp_path / "self").symlink_to("self")
    assert within(tmp_path, "/var/run/docker.sock") == tmp_path / "run/docker.sock"
    assert within(tmp_path, "/up/passwd") == tmp_path / "etc/passwd"
    assert within(tmp_path, "/self/x") == tmp_path / "self/x"
    assert within(tmp_path, "/../../etc") == tmp_path / "etc"


def test_a_process_is_told_from_its_successor() -> None:
    """By its start time; and it sees the same mounts as itself."""
    assert started_at(os.getpid())
    assert started_at(2**22 + 1) == ""
    assert same_mounts(os.getpid(), os.getpid())
    assert not same_mounts(os.getpid(), 2**22 + 1)
    assert filesystem_of(os.getpid(), "/proc") == "proc"


FIT = ContextFacts(
    "web",
    "c1",
    running=True,
    privileged=True,
    namespaces=(("network", "host"), ("pid", "host"), ("ipc", "host")),
    data_root="/var/lib/docker",
    data_root_on="ext4",
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"running": False}, "web is not running"),
        ({"privileged": False}, "set privileged: true (or cap_add: SYS_ADMIN, NET_ADMIN"),
        ({"privileged": False, "capabilities": frozenset({"ALL"})}, ""),
        ({"namespaces": (("network", "bridge"),)}, "set net: host"),
        ({"data_root_on": "overlay"}, "add the volume /var/lib/docker:/var/lib/docker:rshared"),
        ({"absent": ("mount.nfs", "/mnt/data")}, "web requires mount.nfs, which is not installed in it"),
        ({"absent": ("/mnt/data",)}, "web requires /mnt/data, which is not mounted in it"),
        ({}, ""),
    ],
)
def test_the_contract_says_what_is_missing_and_the_way_out(change: dict[str, object], said: str) -> None:
    """Each lack in a sentence with what to set; none for a container that fits."""
    told = lacks(ContextFacts(**{field: getattr(FIT, field) for field in FIT.__slots__} | change))
    assert said in "; ".join(told)
    assert bool(told) == bool(said)


def test_requirements_are_separated_by_commas_and_blanks() -> None:
    """As people write lists in labels."""
    assert wanted("mount.nfs, /mnt/data zfs") == ("mount.nfs", "/mnt/data", "zfs")
    assert wanted("") == ()


def test_last_words_are_what_was_said() -> None:
    """Without time stamps and levels, and with the line before: the last one is often advice."""
    assert last_words(["unknown flag: --x", "See 'dockerd --help'., Code: 125"]) == (
        "unknown flag: --x; See 'dockerd --help'., Code: 125"
    )
    assert last_words(['time="2026" level=error msg="no \\"overlay2\\""']) == 'no \\"overlay2\\"'
    assert last_words([]) == ""


def test_an_unknown_engine_names_the_known_ones() -> None:
    """This machine's root stands in for a context: it has none by that name."""
    with pytest.raises(Exception, match=r"there is no engine 'nix'.*there are: "):
        find_engine(os.getpid(), "nix")


def test_whether_it_serves_is_judged_as_every_check_is(tmp_path: Path) -> None:
    """Until it has served no failed look counts; then two in a row make it doubtful, three unhealthy."""

    async def reports(*troubles: str) -> list[tuple[Health, str]]:
        inbox = Inbox(lambda: 0.0)
        docker = UserDocker(FakeEngine(random.Random(1)), inbox, SILENT, state_dir=tmp_path, environ={})
        process: Any = SimpleNamespace(pid=7)
        run = _Run(process, ProcessRecord(7, "", "", "", "", "", "", ""), 0.0, "c1")
        for trouble in troubles:
            docker._judge(run, trouble, Seconds(1000))
        events = [inbox.take().event for _ in range(inbox.depth)]
        return [(one.health, one.output) for one in events if isinstance(one, HealthReported)]

    no = "it does not answer"
    assert SERVES.retries == 3
    assert asyncio.run(reports(no, no, no, no)) == []
    assert asyncio.run(reports(no, "", no, "", no, "")) == [(Health.HEALTHY, "")]
    assert asyncio.run(reports(no, "", no, no, "")) == [
        *((Health.HEALTHY, ""), (Health.STARTING, no), (Health.HEALTHY, "")),
    ]
    assert asyncio.run(reports("", no, no, no, no, "")) == [
        *((Health.HEALTHY, ""), (Health.STARTING, no), (Health.UNHEALTHY, no), (Health.HEALTHY, "")),
    ]

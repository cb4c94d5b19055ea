"""The ground that the other engine tests stand on."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import images, leftovers
from tests.bed.bed import Bed, BedError, Engine
from tests.bed.engines import REPOSITORY

IMAGE = "busybox:demo"
STAY = {"Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}


@pytest.fixture(scope="module")
def engine(engine_version: str) -> Iterator[Engine]:
    """One engine for this module: every test uses containers of its own names."""
    with Bed() as bed:
        engine = bed.engine(engine_version).start()
        engine.docker.load(images.busybox_tar(bed.dir / "busybox.tar"))
        yield engine


def test_a_privileged_container_may_mount(engine: Engine) -> None:
    mount = {"Cmd": ["mount", "-t", "tmpfs", "tmpfs", "/mnt"], "HostConfig": {"Privileged": True}}
    engine.docker.load(images.busybox_tar(engine.bed.dir / "mnt.tar", "busybox:mnt", extra_files={"/mnt/.keep": b""}))
    engine.docker.run("mounting", "busybox:mnt", mount)
    assert engine.docker.wait("mounting") == 0, engine.docker.logs("mounting")


def test_the_host_network_is_the_beds(engine: Engine) -> None:
    config = {
        "Cmd": ["hostname"],
        "HostConfig": {"NetworkMode": "host", "UTSMode": "host", "PidMode": "host"},
    }
    engine.docker.run("hosted", IMAGE, config)
    assert engine.docker.wait("hosted") == 0
    assert engine.docker.logs("hosted") == "bed\n"
    assert interfaces(engine.bed.run(["cat", "/proc/net/dev"]).stdout) == {"lo"}


def interfaces(table: str) -> set[str]:
    """Name the interfaces in /proc/net/dev, but for those that the kernel puts into every namespace."""
    names = {line.partition(":")[0].strip() for line in table.splitlines()[2:]}
    return {name for name in names if not name.startswith(("ifb", "tunl", "gre", "erspan", "ip_vti", "ip6", "sit"))}


def test_a_killed_engine_finds_its_containers_again(engine: Engine) -> None:
    engine.docker.run("surviving", IMAGE, STAY)
    before = engine.docker.inspect("surviving")["State"]
    engine.kill()
    assert not engine.docker.ping()
    engine.start()
    after = engine.docker.inspect("surviving")["State"]
    assert (after["Running"], after["Pid"]) == (True, before["Pid"])


def test_a_stopped_engine_leaves_its_containers_running(engine: Engine) -> None:
    engine.docker.run("outliving", IMAGE, STAY)
    before = engine.docker.inspect("outliving")["State"]
    engine.terminate()
    engine.start()
    assert engine.docker.inspect("outliving")["State"]["Pid"] == before["Pid"]


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_an_image_can_be_loaded_with_all_it_says(engine: Engine, tmp_path: Path, suffix: str) -> None:
    tag = f"told:{suffix.strip('.') or 'plain'}"
    archive = images.busybox_tar(
        tmp_path / f"told.tar{suffix}",
        tag,
        cmd=["cat", "/srv/deep/word"],
        env={"A": "b"},
        labels={"io.test": "yes"},
        healthcheck={"Test": ["CMD", "true"]},
        extra_files={"/srv/deep/word": b"hello\n", "/bin/tool": (b"#!/bin/sh\n", 0o755), "/srv/link": "deep"},
    )
    engine.docker.load(archive)
    status, image = engine.docker.get(f"/images/{tag}/json")
    assert status == 200
    assert "A=b" in image["Config"]["Env"]
    assert image["Config"]["Labels"] == {"io.test": "yes"}
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "true"]
    name = f"told-{tag.partition(':')[2]}"
    engine.docker.run(name, tag)
    assert (engine.docker.wait(name), engine.docker.logs(name)) == (0, "hello\n")


def test_a_root_file_system_can_be_imported(engine: Engine, tmp_path: Path) -> None:
    engine.docker.import_root(images.rootfs_tar(tmp_path / "root.tar"), "root:imported")
    engine.docker.run("imported", "root:imported", {"Cmd": ["true"]})
    assert engine.docker.wait("imported") == 0


def test_a_closed_bed_leaves_nothing(engine_version: str) -> None:
    with Bed() as bed:
        engine = bed.engine(engine_version).start()
        engine.docker.load(images.busybox_tar(bed.dir / "busybox.tar"))
        engine.docker.run("left", IMAGE, STAY)
        assert leftovers.cgroups(bed.ident)
        assert leftovers.traces(bed.ident)
    assert leftovers.traces(bed.ident) == []


def test_an_image_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = images.busybox_tar(tmp_path / "one.tar.zst", extra_files={"/a": b"b"}).read_bytes()
    assert first == images.busybox_tar(tmp_path / "two.tar.zst", extra_files={"/a": b"b"}).read_bytes()


def test_signals_reach_the_program_in_the_bed() -> None:
    with Bed() as bed:
        waiting = 'trap "exit 7" TERM; sleep 1000 & echo $$; wait'
        program = bed.popen(["sh", "-c", waiting], stdout=subprocess.PIPE)
        assert program.stdout is not None
        assert int(program.stdout.readline()) == program.inner_pid
        program.terminate()
        assert program.wait(10) == 7
        program = bed.popen(["sleep", "1000"])
        program.kill()
        assert program.wait(10) == -signal.SIGKILL


def test_a_program_runs_where_and_as_it_is_told() -> None:
    with Bed() as bed:
        assert bed.run(["sh", "-c", "pwd; echo $WORD"], cwd=bed.dir, env={"WORD": "x"}).stdout == f"{bed.dir}\nx\n"
        open_files = bed.run(["sh", "-c", "ls /proc/$$/fd; exit"]).stdout.split()
        assert open_files == ["0", "1", "2"]
        assert bed.run(["false"], check=False).returncode == 1
        with pytest.raises(BedError, match="ended with 3: oh"):
            bed.run(["sh", "-c", "echo oh; exit 3"])
        with pytest.raises(subprocess.TimeoutExpired):
            bed.run(["sleep", "1000"], timeout=0.01)


def test_a_killed_test_run_takes_its_bed_with_it() -> None:
    program = "from tests.bed.bed import Bed; bed = Bed(); print(bed.ident, bed.init_pid, flush=True); input()"
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        ident, init_pid = owner.stdout.readline().split()
        init = os.pidfd_open(int(init_pid))
        assert ident not in leftovers.sweep()
        owner.kill()
    assert select.select([init], [], [], 10)[0], "the bed outlived its owner"
    os.close(init)
    leftovers.sweep()
    assert leftovers.traces(ident) == []

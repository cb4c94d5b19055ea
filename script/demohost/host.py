"""The demonstration host: its configuration and its image, in a bed."""

import json
import shutil
from pathlib import Path

import yaml

from tests.bed import bundles, capabilities, debian, engines, images
from tests.bed.bed import Bed
from tests.boot.host import Host, system_docker

CONFIG = Path(__file__).with_name("cloud-config.yml")
USER = Path(__file__).with_name("user.yml")
UNITS = tuple(yaml.safe_load(CONFIG.read_text())["rancher"]["services"])
USER_UNITS = (*UNITS, "storage", "user-docker")
VERSION = engines.system_version()


def demo_host(bed: Bed, version: str = VERSION, *, echo: bool = False, extra: str = "") -> Host:
    """The host as ``script/demo`` shows it. ``extra``: more services, indented as in the file."""
    config = CONFIG.read_text() + extra
    host = Host(bed, version, "", echo=echo)
    runtime: tuple[str, ...] = ()
    lacking = capabilities.missing()
    if lacking:
        wrapper = bed.dir / "runc-caps"
        capabilities.write_wrapper(wrapper, host.binaries.runc, lacking)
        runtime = ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
    docker = system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime)
    host.config.write_text(config.replace("rancher:\n", f"rancher:\n  system_docker: {docker}\n", 1))
    images.busybox_tar(host.images / "images.tar.gz")
    return host


def with_user(host: Host) -> Host:
    """Add the second layer: consoles, a storage container, and user Docker."""
    bed = host.bed
    for name in ("user-docker", "user-run"):
        (bed.dir / name).mkdir()
    host.layers.append(bed.dir / "user.yml")
    args = ["--cgroup-parent", f"{bed.cgroup}/user", "--exec-opt", "native.cgroupdriver=cgroupfs"]
    environment = {"STATE": str(bed.dir), "ENGINES": str(bundles.all_bundles())}
    added = f"rancher:\n  environment: {json.dumps(environment)}\n"
    text = USER.read_text().replace("rancher:\n", added, 1)
    text = text.replace("docker: {}", f"docker: {json.dumps({'extra_args': args})}", 1)
    host.layers[-1].write_text(text)
    # No link: /tmp may be a file system of its own.
    shutil.copyfile(debian.debian_tar(), host.images / "images-debian.tar")
    return host

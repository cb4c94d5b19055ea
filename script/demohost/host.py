"""The demonstration host: its configuration and its image, in a bed."""

from pathlib import Path

import yaml

from tests.bed import capabilities, engines, images
from tests.bed.bed import Bed
from tests.boot.host import Host, system_docker

CONFIG = Path(__file__).with_name("cloud-config.yml")
UNITS = tuple(yaml.safe_load(CONFIG.read_text())["rancher"]["services"])
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

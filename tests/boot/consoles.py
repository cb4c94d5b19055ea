"""A host with two consoles, a storage container and user Docker, for tests of what is switched."""

from pathlib import Path

from tests.bed import capabilities, images
from tests.bed.bed import Bed
from tests.bed.http import Docker
from tests.boot.host import Host, system_docker

CONTEXT = """
      net: host
      pid: host
      ipc: host
      uts: host
      privileged: true
      restart: always
      volumes:
        - {dir}/vld:/var/lib/docker:rshared
        - {dir}/{name}:/foo
        - {dir}/crun:/var/run:rshared
        - /sys/fs/cgroup:/sys/fs/cgroup
        - /usr:/usr:ro
        - /lib:/lib:ro
        - /lib64:/lib64:ro
        - /etc/alternatives:/etc/alternatives:ro
        - {dir}/engines:/opt/engines:ro
        - {dir}:{dir}
        - {dir}/mnt:/mnt:rshared
"""
"""What makes a busybox container one in whose file system the machine's own engine runs."""

WORK = """sh -c 'trap "exit 0" TERM; while :; do sleep 60 & wait $$!; done'"""

CONFIG = """#cloud-config
rancher:
  system_docker: {docker}
  supervisor: {{snapshot_period: 5s}}
  docker:
    args: [dockerd, --storage-driver, overlay2, --cgroup-parent, {cgroup}/u, --userland-proxy=false]
    environment: {{PATH: "{path}"}}
  services:
    console:
      image: busybox:demo
      command: {work}
      labels: {{io.docker.compose.rebuild: always}}{default}
    other-console:
      image: busybox:demo
      command: {work}
      labels: {{io.rancher.os.console: other, io.docker.compose.rebuild: "false"}}{other}
    broken-console:
      image: busybox:demo
      command: "false"
      restart: always
      labels: {{io.rancher.os.console: broken}}
    gluster:
      image: busybox:demo
      command: {work}{storage}
    plain:
      image: busybox:demo
      command: {work}
      restart: always
"""


def console_host(bed: Bed, version: str, *, extra: str = "", echo: bool = False) -> Host:
    """``extra``: more of ``rancher:``, indented as in the file."""
    host = Host(bed, version, "", echo=echo)
    runtime: tuple[str, ...] = ()
    if lacking := capabilities.missing():
        wrapper = bed.dir / "runc-caps"
        capabilities.write_wrapper(wrapper, host.binaries.runc, lacking)
        runtime = ("--add-runtime", f"caps={wrapper}", "--default-runtime", "caps")
    for name in ("vld", "default", "other", "gluster", "crun", "engines", "mnt"):
        (bed.dir / name).mkdir(exist_ok=True)
        (bed.dir / name / "who").write_text(name)
    context = {name: CONTEXT.format(dir=bed.dir, name=name) for name in ("default", "other", "gluster")}
    host.config.write_text(
        CONFIG.format(
            docker=system_docker(bed.dir, bed.cgroup, host.binaries.path, runtime),
            cgroup=bed.cgroup,
            path=host.binaries.path,
            work=WORK,
            default=context["default"].rstrip("\n"),
            other=context["other"].rstrip("\n"),
            storage=context["gluster"].rstrip("\n"),
        )
        + extra
    )
    images.busybox_tar(host.images / "images.tar.gz")
    return host


def user_socket(host: Host) -> Path:
    return host.dir / "crun" / "docker.sock"


def user_docker(host: Host) -> Docker:
    return Docker(user_socket(host))

"""Builds a dockerd's command line: the operator's options, and those that separate it from other engines. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from supervisor.state.paths import DOCKER_URL, SYSTEM_DOCKER_URL
from units.records import dataclass

DATA_ROOT = "/var/lib/system-docker"


EXEC_ROOT = "/var/run/system-docker"


PIDFILE = "/var/run/system-docker.pid"


NAMESPACE = "system-docker"


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


DEFAULT_ARGS: Final = (
    *("--log-opt", "max-size=25m", "--log-opt", "max-file=2", "--group", "root"),
    *("--userland-proxy=false", "--bridge", "none", "--iptables=false"),
)


_LONG: Mapping[str, str] = {"-H": "--host", "-g": "--data-root", "--graph": "--data-root", "-p": "--pidfile"}


_VALUED = frozenset({"--host", "--data-root", "--exec-root", "--pidfile", "--config-file", "--containerd"}) | {
    "--containerd-namespace",
    "--containerd-plugins-namespace",
    "--firewall-backend",
}


_GONE = frozenset({"--restart", "-r"})


_NOT_FOR_DOCKERD = frozenset({"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "WATCHDOG_USEC"})
"""Variables that would let dockerd notify systemd as if it were the supervisor."""


class SystemDockerError(Exception):
    """System Docker cannot run as configured; the text says what to do."""


@dataclass(frozen=True, slots=True)
class DaemonPlan:
    """How the daemon is started, and where it is then found."""

    argv: tuple[str, ...]
    """The first is a name to be looked up on the environment's PATH, or an absolute path."""
    environment: Mapping[str, str]
    socket: Path
    data_root: Path
    exec_root: Path
    pidfile: Path
    config_file: Path | None
    """An empty configuration that is written before each start; ``None``: the operator named a file."""
    own_containerd: bool
    """Whether it should start its own containerd, below ``exec_root`` and ``data_root``."""
    warnings: tuple[str, ...] = ()

    def option(self, name: str, otherwise: str = "") -> str:
        """The value of one of the options that ``CommandLine`` knows, by its long name."""
        return CommandLine.read(self.argv[1:]).values.get(name, [otherwise])[-1]

    @property
    def options(self) -> str:
        """The file that adds to its command line, in its file system; there may be none."""
        return self.option("--config-file", "/etc/docker/daemon.json")

    def flag(self, name: str) -> bool | None:
        """Whether a flag is on, as dockerd reads it (``--name``, ``--name=0``); ``None``: it is not given."""
        said = [value.lower() for one, _, value in (word.partition("=") for word in self.argv) if one == name]
        return said[-1] in {"", "1", "t", "true"} if said else None


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of one of the two engines."""

    key: str
    """The configuration key of its arguments, for error messages."""
    args: tuple[str, ...]
    socket: str
    data_root: str
    exec_root: str
    pidfile: str
    namespace: str
    ours_alone: bool
    """With live-restore, and ignoring /etc/docker/daemon.json."""


SYSTEM_DOCKER: Final = Defaults(
    "rancher.system_docker.args",
    DEFAULT_ARGS,
    SYSTEM_DOCKER_URL,
    DATA_ROOT,
    EXEC_ROOT,
    PIDFILE,
    NAMESPACE,
    ours_alone=True,
)


USER_DOCKER: Final = Defaults(
    "rancher.docker.args",
    ("--log-opt", "max-size=25m", "--log-opt", "max-file=2", "--storage-driver", "overlay2", "--userland-proxy=false"),
    DOCKER_URL,
    "/var/lib/docker",
    "/var/run/docker",
    "/var/run/docker.pid",
    "user-docker",
    ours_alone=False,
)
"""Without live-restore: a container that outlives its context's mount namespace can no longer be entered."""


def plan(
    args: Sequence[str], extra_args: Sequence[str], environment: Mapping[str, str], defaults: Defaults = SYSTEM_DOCKER
) -> DaemonPlan:
    """Complete an engine's ``args`` to a command line; old spellings are understood.

    Args:
        args: may begin with the absolute path of a dockerd and with ``daemon``; empty means the defaults'.
        extra_args: appended.
        environment: all that the daemon gets; a missing PATH is added.
        defaults: which engine it is.

    Raises:
        SystemDockerError: an option has no value.
    """
    binary, rest = _command(args)
    line = CommandLine.read([*(rest or defaults.args), *extra_args], defaults.key)
    socket = line.socket
    if socket is None:
        socket = Path(defaults.socket.removeprefix("unix://"))
        line.add("--host", defaults.socket)
    data_root = Path(line.default("--data-root", defaults.data_root))
    exec_root = Path(line.default("--exec-root", defaults.exec_root))
    pidfile = Path(line.default("--pidfile", defaults.pidfile))
    own_containerd = "--containerd" not in line.values
    # A containerd of the machine may be used after all (MACHINE_CONTAINERD), and serve another dockerd too.
    line.default("--containerd-namespace", defaults.namespace)
    line.default("--containerd-plugins-namespace", f"plugins.{defaults.namespace}")
    # /etc/docker/daemon.json is user Docker's: an option both in it and on our command line would be fatal.
    config_file = None if "--config-file" in line.values or not defaults.ours_alone else exec_root / "daemon.json"
    if config_file is not None:
        line.add("--config-file", str(config_file))
    if defaults.ours_alone and not any(word.partition("=")[0] == "--live-restore" for word in line.words):
        line.words.append("--live-restore")
    return DaemonPlan(
        argv=(binary, *line.words),
        environment={"PATH": PATH} | {k: v for k, v in environment.items() if k not in _NOT_FOR_DOCKERD},
        socket=socket,
        data_root=data_root,
        exec_root=exec_root,
        pidfile=pidfile,
        config_file=config_file,
        own_containerd=own_containerd,
        warnings=tuple(line.warnings),
    )


def _command(args: Sequence[str]) -> tuple[str, list[str]]:
    rest = list(args)
    binary = rest.pop(0) if rest and rest[0].startswith("/") else "dockerd"
    if rest and rest[0] in {"daemon", "dockerd"}:
        del rest[0]
    return binary, rest


@dataclass(slots=True)
class CommandLine:
    """A dockerd's arguments, and the values of relevant options: the last one counts, except that all hosts do."""

    words: list[str]
    values: dict[str, list[str]]
    warnings: list[str]

    @classmethod
    def read(cls, words: Sequence[str], key: str = SYSTEM_DOCKER.key) -> "CommandLine":
        line = cls([], {}, [])
        rest = iter(words)
        for word in rest:
            name, value = _split(word)
            name = _LONG.get(name, name)
            if name in _GONE:
                line.warnings.append(f"{key}: dockerd no longer supports {word}; ignored")
            elif name not in _VALUED:
                line.words.append(word)
            elif (value := next(rest, None) if value is None else value) is None:
                raise SystemDockerError(f"{key}: {word} needs a value")
            else:
                line.add(name, value)
        return line

    def add(self, name: str, value: str) -> None:
        self.words += [name, value]
        self.values.setdefault(name, []).append(value)

    def default(self, name: str, value: str) -> str:
        """Return an option's value, which is ``value`` if it is not given."""
        if name not in self.values:
            self.add(name, value)
        return self.values[name][-1]

    @property
    def socket(self) -> Path | None:
        """The first unix socket that is named."""
        for host in self.values.get("--host", []):
            if host.startswith("unix:///"):
                return Path(host.removeprefix("unix://"))
        return None


def _split(word: str) -> tuple[str, str | None]:
    """Split ``--name=value``, ``-n=value``, ``-nvalue``; without a value, it may be the next argument."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    name, value = word[:2], word[2:]
    if name in _LONG or name in _GONE:
        return name, value.removeprefix("=") if value else None
    return word, None


def data_root_of(command: Sequence[str]) -> str:
    """Where a living dockerd keeps its data, by its command line."""
    try:
        return CommandLine.read(command[1:]).values.get("--data-root", [str(USER_DOCKER.data_root)])[-1]
    except SystemDockerError:
        return USER_DOCKER.data_root

"""Compose services as they are found in the wild, and what becomes of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor.config import loader
from supervisor.config.compose_keys import looked_up
from supervisor.config.ports import ports
from supervisor.config.tree import ConfigError
from units.health import Check, Exec, Tcp
from units.quantities import Seconds
from units.spec import Condition, Kind, OnFailure, OnUnhealthy, Policy, Rebuild, UnitSpec, Via


def read(tmp_path: Path, services: str, head: str = "") -> dict[str, UnitSpec]:
    file = tmp_path / "c.yml"
    indented = "".join(f"    {line}\n" for line in services.strip("\n").splitlines())
    file.write_text(f"#cloud-config\nrancher:\n{head}  services:\n{indented}")
    return {unit.name: unit for unit in loader.read([file]).units}


def body(unit: UnitSpec) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(unit.body)
    return made


TRAPS = """
web:
  image: busybox
  privileged: "true"
  restart: no
  ports: [22:22, "8080:80", 127.0.0.1:53:53/udp, 9000-9001:9000-9001]
  labels: {n: 1.24, b: false, io.rancher.os.detach: false}
  command: sh -c "echo 'a b'"
"""


def test_the_traps_of_compose_files(tmp_path: Path) -> None:
    """Quoted booleans, Norwegian policies, sexagesimal ports, labels of any scalar, commands as a shell splits them."""
    web = read(tmp_path, TRAPS)["web"]
    made = body(web)
    assert made["HostConfig"]["Privileged"] is True
    assert web.restart.policy is Policy.NO
    assert made["HostConfig"]["PortBindings"]["22/tcp"] == [{"HostIp": "", "HostPort": "22"}]
    assert made["HostConfig"]["PortBindings"]["53/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "53"}]
    assert set(made["ExposedPorts"]) == {"22/tcp", "80/tcp", "53/udp", "9000/tcp", "9001/tcp"}
    assert (made["Labels"]["n"], made["Labels"]["b"]) == ("1.24", "false")
    assert web.kind is Kind.ONESHOT
    assert made["Cmd"] == ["sh", "-c", "echo 'a b'"]


def test_the_engine_is_never_given_a_restart_policy(tmp_path: Path) -> None:
    """Two supervisors of one container would fight."""
    units = read(tmp_path, "web: {image: x, restart: always}\napp: {image: x, restart: on-failure:3}")
    assert [body(unit)["HostConfig"]["RestartPolicy"] for unit in units.values()] == [{"Name": "no"}] * 2
    assert (units["app"].restart.policy, units["app"].restart.max_retries) == (Policy.ON_FAILURE, 3)


def test_environment_is_looked_up(tmp_path: Path) -> None:
    """A bare name and a prefix are looked up, the unit's own entry first; what is not found is dropped."""
    head = "  environment: {A: 1, web/B: mine, B: all, P_X: x, P_Y: y, EMPTY: ''}\n"
    web = read(tmp_path, 'web: {image: x, environment: [A, B, "P_*", C=3, NOPE, "D="]}', head)["web"]
    assert sorted(body(web)["Env"]) == ["A=1", "B=mine", "C=3", "D=", "P_X=x", "P_Y=y"]


def test_prefixes_prefer_the_units_own() -> None:
    """unit/PREFIX* wins as a whole, and loses its slash."""
    assert looked_up({"web/P_A": "1", "P_A": "2", "P_B": "3"}, "web", "P_*") == {"P_A": "1"}


def test_variables_are_put_in_everywhere(tmp_path: Path) -> None:
    """${VAR}, $VAR, ${VAR:-default} and $$; what is not set is blank, with a warning."""
    head = "  environment: {TAG: v1}\n"
    file_units = read(tmp_path, 'web: {image: "x:${TAG}", command: [$TAG, "${NO:-d}", "$$HOME", "${GONE}"]}', head)
    assert file_units["web"].image == "x:v1"
    assert body(file_units["web"])["Cmd"] == ["v1", "d", "$HOME", ""]


LINKS = """
db: {image: x}
vols: {image: x, container_name: volumes-of-all, labels: {io.rancher.os.createonly: "true"}}
web:
  image: x
  links: [db:database]
  volumes_from: [vols:ro]
  net: container:db
  depends_on: {db: {condition: service_healthy}}
  labels: {io.rancher.os.after: "db, vols", io.rancher.os.before: late}
late: {image: x, on_dependency_failure: hold}
"""


def test_every_kind_of_dependency(tmp_path: Path) -> None:
    """Which edges there are, how hard, and that bodies use the names of containers."""
    units = read(tmp_path, LINKS)
    edges = {(edge.via, edge.target, edge.condition, edge.hard) for edge in units["web"].dependencies}
    assert edges == {
        (Via.LINK, "db", Condition.STARTED, True),
        (Via.VOLUMES, "vols", Condition.STARTED, True),
        (Via.NET, "db", Condition.STARTED, True),
        (Via.DEPENDS_ON, "db", Condition.HEALTHY, True),
        (Via.AFTER, "db", Condition.STARTED, False),
        (Via.AFTER, "vols", Condition.STARTED, False),
    }
    assert [(edge.via, edge.target, edge.on_failure) for edge in units["late"].dependencies] == [
        (Via.BEFORE, "web", OnFailure.HOLD)
    ]
    host = body(units["web"])["HostConfig"]
    assert (host["VolumesFrom"], host["Links"], host["NetworkMode"]) == (
        ["volumes-of-all:ro"],
        ["db:database"],
        "container:db",
    )
    assert units["vols"].kind is Kind.VOLUME


def test_the_hash_follows_the_definition_and_nothing_else(tmp_path: Path) -> None:
    """Order of volumes and numbers of ours make no other container; a resolved variable does."""

    def hash_of(text: str, head: str = "") -> str:
        return read(tmp_path, text, head)["web"].config_hash

    base = hash_of("web: {image: x, volumes: [/a:/a, /b:/b]}")
    assert hash_of("web: {image: x, volumes: [/b:/b, /a:/a]}") == base
    assert hash_of('web: {image: x, volumes: [/b:/b, /a:/a], labels: {dockwarden.restart.delay: "3"}}') == base
    assert hash_of("web: {image: x, restart: always, volumes: [/a:/a, /b:/b]}") == base
    assert hash_of("web: {image: y, volumes: [/a:/a, /b:/b]}") != base
    assert hash_of("web: {image: x, command: [a, b]}") != hash_of("web: {image: x, command: [b, a]}")
    changed = [hash_of("web: {image: x, environment: [A]}", f"  environment: {{A: {n}}}\n") for n in (1, 2)]
    assert changed[0] != changed[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("devices: [/dev/a, /dev/b]", "devices: [/dev/b, /dev/a]"),
        ("ulimits: {a: 1, b: 2}", "ulimits: {b: 2, a: 1}"),
        ("ports: ['1:80', '2:80']", "ports: ['2:80', '1:80']"),
        ("external_links: [a, b]", "external_links: [b, a]"),
        ("environment: {A: 1, B: 2}", "environment: {B: 2, A: 1}"),
        ("cap_add: [A, B]", "cap_add: [B, A]"),
        ("labels: {a: 1, b: 2}", "labels: [b=2, a=1]"),
        ("tty: false", 'labels: {dockwarden.stop.signal: SIGINT, dockwarden.enabled: "false"}, tty: "false"'),
    ],
)
def test_what_means_the_same_makes_no_other_container(tmp_path: Path, one: str, other: str) -> None:
    """Moving a line of a set or a map, another spelling, or a label of ours: the container stays."""
    hashes = {read(tmp_path, f"web: {{image: x, {text}}}")["web"].config_hash for text in (one, other)}
    assert len(hashes) == 1


def test_a_new_default_signal_makes_no_new_containers(tmp_path: Path) -> None:
    """rancher.supervisor changes how all units are stopped, not what they are; the key of a service does."""
    head = "  supervisor: {stop: {signal: SIGINT}}\n"
    plain, other = (read(tmp_path, "web: {image: x}", text)["web"] for text in ("", head))
    assert plain.config_hash == other.config_hash
    assert (body(plain)["StopSignal"], body(other)["StopSignal"]) == ("SIGTERM", "SIGINT")
    own = read(tmp_path, "web: {image: x, stop_signal: SIGINT}")["web"]
    assert own.config_hash != plain.config_hash


@pytest.mark.parametrize(
    ("check", "made"),
    [
        ("{test: NONE}", {"Test": ["NONE"]}),
        ("{test: [NONE]}", {"Test": ["NONE"]}),
        ("{disable: true, test: x, interval: 1s}", {"Test": ["NONE"]}),
        ("{test: [CMD, a], start_period: 1m}", {"Test": ["CMD", "a"], "StartPeriod": 60_000_000_000}),
    ],
)
def test_health_checks(tmp_path: Path, check: str, made: dict[str, Any]) -> None:
    """NONE in any spelling takes the image's own check away."""
    assert body(read(tmp_path, f"web: {{image: x, healthcheck: {check}}}")["web"])["Healthcheck"] == made


FULL = """
web:
  cap_add: [NET_ADMIN]
  cap_drop: [MKNOD]
  cgroup_parent: /x
  command: [a]
  container_name: web-1
  cpu_quota: 5000
  cpu_shares: 10
  cpuset: "0,1"
  devices: ["/dev/fuse:/dev/fuse:rw"]
  dns: 1.1.1.1
  dns_search: [example]
  domainname: d
  entrypoint: /bin/e
  environment: {A: 1}
  expose: [80]
  external_links: [other:o]
  extra_hosts: ["a:1.2.3.4"]
  healthcheck: {test: "true", interval: 2s, retries: 2}
  hostname: h
  image: x
  ipc: host
  labels: [a=b]
  log_driver: json-file
  log_opt: {max-size: 1m}
  mac_address: 02:42:ac:11:00:02
  mem_limit: 64m
  memswap_limit: -1
  net: host
  oom_score_adj: -100
  pid: host
  privileged: false
  read_only: true
  restart: always
  security_opt: [seccomp=unconfined]
  stdin_open: true
  stop_signal: SIGINT
  stop_grace_period: 3s
  tty: true
  ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
  user: "1000:1000"
  uts: host
  volume_driver: local
  volumes: [/data, "/a:/b:ro", "name:/c"]
  working_dir: /w
"""


def test_the_full_set_of_keys_is_understood(tmp_path: Path) -> None:
    """Every key leads to where the engine wants it."""
    web = read(tmp_path, FULL)["web"]
    made = body(web)
    assert made["Volumes"] == {"/data": {}}
    assert made["HostConfig"]["Binds"] == ["/a:/b:ro", "name:/c"]
    assert made["HostConfig"]["Memory"] == 64 << 20
    assert made["HostConfig"]["MemorySwap"] == -1
    assert made["HostConfig"]["Ulimits"] == [
        {"Name": "nofile", "Soft": 10, "Hard": 20},
        {"Name": "nproc", "Soft": 5, "Hard": 5},
    ]
    assert made["HostConfig"]["OomScoreAdj"] == -100
    assert made["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000, "Retries": 2}
    assert made["MacAddress"] == "02:42:ac:11:00:02"
    assert (web.stop.signal, web.stop.timeout, made["StopSignal"]) == ("SIGINT", Seconds(3), "SIGINT")
    assert (web.container, made["Labels"]["dockwarden.unit"]) == ("web-1", "web")


@pytest.mark.parametrize(
    ("service", "wanted"),
    [
        ("{image: x, build: .}", "not supported here; build the image elsewhere"),
        ("{image: x, volumes-from: [a]}", "did you mean 'volumes_from'?"),
        ("{image: x, ports: [http]}", "not a port mapping: http"),
        ("{image: x, labels: {dockwarden.restart.dely: 1}}", "did you mean 'dockwarden.restart.delay'?"),
        ("{image: x, labels: {dockwarden.unit: y}}", "is set by dockwarden itself"),
        ("{image: x, mem_limit: lots}", "expected a size such as 512m or 1g"),
        ('{image: x, command: "sh -c \'oops"}', "cannot be split into words"),
        ("{image: x, volumes: [./here:/there]}", "not an absolute path"),
        ("{image: x, healthcheck: {test: x, interval: often}}", "expected a duration"),
        ("{image: x, healthcheck: {test: [curl, x]}}", "a list begins with CMD or CMD-SHELL"),
        ("{image: x, stop_grace_period: 1e308}", "expected a duration"),
        ("{image: x, stop_signal: SIGTREM}", "did you mean 'SIGTERM'?"),
        ("{image: x, environment: {A: [1]}}", "environment.A: expected a text, found a list"),
        ("{image: x, command: '${A?gone}'}", "not a variable: ${A?gone}"),
        ("{image: x, command: '${A:-${B}}'}", "not a variable: ${A:-${B}}"),
        ("{image: x, volumes: [data]}", "volumes[0]: not an absolute path: data"),
        ("{image: x, volumes: ['/a:/b:ro:z']}", "not a volume: /a:/b:ro:z"),
        ("{image: x, expose: [http]}", "expose[0]: not a port: http"),
        ("{image: x, net: host, network_mode: none}", "net and network_mode are the same setting"),
        ("[image]", "expected a mapping, found a list"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, service: str, wanted: str) -> None:
    """The message says what is wrong and what would be right."""
    with pytest.raises(ConfigError, match=r"rancher\.services\.web") as caught:
        read(tmp_path, f"web: {service}")
    assert wanted in str(caught.value)


def test_rebuild_labels(tmp_path: Path) -> None:
    """Always, false, and everything else."""
    text = "\n".join(
        f"u{n}: {{image: x, labels: {{io.docker.compose.rebuild: {value}}}}}"
        for n, value in enumerate(("always", "false", "x"))
    )
    assert [unit.rebuild for unit in read(tmp_path, text).values()] == [Rebuild.ALWAYS, Rebuild.NEVER, Rebuild.CHANGED]


@pytest.mark.parametrize(
    "entry",
    [
        "",
        ":",
        "a:b",
        "1-2:3-5",
        "80/icmp",
        "99999",
        "99999:80",
        "90-80:90-80",
        "8080:80:80",
        "1.2.3:1:1",
        "::1:80:80",
        "0",
    ],
)
def test_what_is_no_port(entry: str) -> None:
    """Nothing is guessed."""
    assert ports(entry) is None


def test_namespaces_and_logs_of_others(tmp_path: Path) -> None:
    """container:UNIT and log_driver: syslog are edges; what is no unit is named with container: or external_links."""
    units = read(
        tmp_path,
        """
web: {image: x, pid: "container:app", ipc: host, log_driver: syslog, log_opt: {tag: w}, volumes_from: ["container:o"]}
app: {image: x, container_name: app-1, depends_on: [syslog]}
syslog: {image: x, log_driver: syslog}
""",
    )
    edges = {name: [(str(edge.target), edge.via) for edge in unit.dependencies] for name, unit in units.items()}
    assert edges == {
        "web": [("app", Via.PID), ("syslog", Via.LOG_DRIVER)],
        "app": [("syslog", Via.DEPENDS_ON)],
        "syslog": [],
    }
    host = body(units["web"])["HostConfig"]
    assert (host["PidMode"], host["IpcMode"], host["VolumesFrom"]) == ("container:app-1", "host", ["o"])
    assert host["LogConfig"] == {"Type": "syslog", "Config": {"tag": "w"}}


def test_ports_with_addresses() -> None:
    """An address of either family; without a port of the host's, the engine chooses one."""
    assert ports("127.0.0.1::80") == [("80/tcp", "127.0.0.1", "")]
    assert ports("[::1]:53:53/udp") == [("53/udp", "::1", "53")]


def test_a_health_check_that_is_to_be_ours(tmp_path: Path) -> None:
    """The label takes it from the engine, and from what makes a container another one it is not hidden."""
    text = "healthcheck: {test: [CMD, check, -q], interval: 5s, retries: 2}"
    ours = read(tmp_path, f"web: {{image: x, {text}, labels: {{dockwarden.health.engine: 'false'}}}}")["web"]
    assert body(ours)["Healthcheck"] == {"Test": ["NONE"]}
    (check,) = ours.checks
    assert check == Check("healthcheck", Exec(("check", "-q")), interval=Seconds(5), retries=2)
    assert read(tmp_path, f"web: {{image: x, {text}}}")["web"].config_hash != ours.config_hash


def test_checks_by_labels_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    """They make no other container; a mistake is told with its place."""
    plain = read(tmp_path, "web: {image: x}")["web"]
    checked = read(tmp_path, "web: {image: x, labels: {dockwarden.health.tcp: 8080, dockwarden.health.action: none}}")
    assert checked["web"].checks[0].probe == Tcp(8080)
    assert checked["web"].heal.action is OnUnhealthy.NONE
    assert checked["web"].config_hash == plain.config_hash
    with pytest.raises(ConfigError, match=r"c.yml:4:.*dockwarden.health.tcp.*expected a port"):
        read(tmp_path, "web: {image: x, labels: {dockwarden.health.tcp: many}}")


def test_depends_on_with_restart(tmp_path: Path) -> None:
    units = read(tmp_path, "db: {image: x}\nweb: {image: x, depends_on: {db: {restart: true}}}")
    (edge,) = units["web"].dependencies
    assert (edge.target, edge.via, edge.restart) == ("db", Via.DEPENDS_ON, True)

"""The stages of script/test. They run in the .venv that script/setup made, so nothing is installed twice."""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "layers", "tests", "programs", "simulate"]

TWO = ("-n", "2", "--dist")
"""Two workers: of the machines that this has to pass on, the smallest have two cores."""
PLAIN = ("-p", "no:schemathesis")
"""Only the simulation needs that plugin, and it takes a second to load in each worker."""


@nox.session
def lint(session: nox.Session) -> None:
    """Look for mistakes, and for lines that are not formatted."""
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check who imports whom."""
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Test what neither waits nor touches the world."""
    session.run("pytest", "tests/pure", *TWO, "worksteal", *PLAIN, *session.posargs)


@nox.session
def programs(session: nox.Session) -> None:
    """Test what starts interpreters, shells and other programs."""
    session.run("pytest", "tests/programs", *TWO, "worksteal", *PLAIN, *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Run the supervisor through made-up histories."""
    session.run("pytest", "tests/simulation", *session.posargs)


@nox.session
def histories(session: nox.Session) -> None:
    """Run many more of them (half an hour; not among the usual stages)."""
    session.run("pytest", "tests/simulation", "--histories", "10000", "-k", "histories or whole_host", *PLAIN)


@nox.session
def engine(session: nox.Session) -> None:
    """Test against real engines (as root)."""
    session.run("pytest", "tests/engine", *PLAIN, *session.posargs)


@nox.session
def boot(session: nox.Session) -> None:
    """Boot whole stacks of system containers (as root); several at a time, for they wait most of the time."""
    session.run("pytest", "tests/boot", "-n", "2", "--dist", "loadscope", "--durations=10", *PLAIN, *session.posargs)


@nox.session
def long(session: nox.Session) -> None:
    """Run what takes the engine and boot stages too long (as root; not among the usual stages)."""
    hosts = ("-n", "2", "--dist", "loadscope", "--durations=10")
    session.run("pytest", "tests/engine", "tests/boot", "--long", *hosts, *PLAIN, *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Let bad luck have whole hosts (as root): fixed seeds, which must pass, and the one of the day, which is told."""
    session.run("python", "-m", "tests.chaos", *(session.posargs or ["--short"]))


@nox.session
def everywhere(session: nox.Session) -> None:
    """The same with every test on every engine, alone on the machine (as root; not among the usual stages).

    The contract of the engine port is tried on the engines of tomorrow, too.
    """
    session.run("pytest", "tests/engine/test_engine_contract.py", "--every-engine", *PLAIN)
    session.run("pytest", "tests/boot", "-n", "2", "--dist", "loadscope", "--every-engine", *PLAIN, *session.posargs)


@nox.session
def rootless(session: nox.Session) -> None:
    """The contract of the engine port on a rootless engine (as root; not among the usual stages)."""
    session.run("pytest", "tests/engine/test_engine_contract.py", "--rootless", *PLAIN, *session.posargs)


@nox.session
def podman(session: nox.Session) -> None:
    """The watch's main story on Podman's Docker socket (as root; not among the usual stages)."""
    session.run("pytest", "tests/podman_socket", *PLAIN, *session.posargs)


@nox.session
def pythons(session: nox.Session) -> None:
    """Run the pure tests on newer Pythons, in roots of newer Debian releases (as root; not among the usual stages)."""
    session.run("python", "-m", "script.pythons", *session.posargs)


@nox.session
def fresh(session: nox.Session) -> None:
    """Try README's two commands on fresh Debian machines (as root; not among the usual stages)."""
    session.run("python", "-m", "script.fresh", *session.posargs)


@nox.session
def diagrams(session: nox.Session) -> None:
    """Check that the diagrams in the documents, and the manual page, show the program as it is."""
    session.run("python", "-m", "script.diagrams", "--check")
    session.run("python", "-m", "script.manual", "--check")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure."""
    session.run("python", "-m", "benchmarks", *session.posargs)

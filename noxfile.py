"""The stages of script/test. They run in the .venv that script/setup made, so nothing is installed twice."""

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "layers", "tests", "simulate"]


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
    session.run("pytest", "tests/pure", *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Run the supervisor through made-up histories."""
    session.run("pytest", "tests/simulation", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """Test against real engines (as root)."""
    session.run("pytest", "tests/engine", *session.posargs)


@nox.session
def boot(session: nox.Session) -> None:
    """Boot whole stacks of system containers (as root); two files at a time, for they wait most of the time."""
    session.run("pytest", "tests/boot", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session
def diagrams(session: nox.Session) -> None:
    """Check that the diagrams in the documents, and the manual page, show the program as it is."""
    session.run("python", "-m", "script.diagrams", "--check")
    session.run("python", "-m", "script.manual", "--check")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure."""
    session.run("python", "-m", "benchmarks", *session.posargs)

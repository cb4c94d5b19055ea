"""Plants bugs, one at a time, and says which test catches each: ``python -m script.mutations [--write] [FILE...]``.

Each bug is a replacement of text in a copy of the checkout, so nothing here is touched. ``FILE`` chooses those of a
file or folder. ``--write`` puts the list into ``docs/architecture/mutations.md``. The exit code is 1 when a bug lives.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bed.engines import REPOSITORY

PAGE: Final = REPOSITORY / "docs/architecture/mutations.md"
LEFT_OUT: Final = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache", ".hypothesis")
LIMIT: Final = 900
"""Seconds for the tests of one bug; one that makes them hang is caught as well."""
KERNEL: Final = ("tests/pure/test_kernel.py", "tests/pure/test_tables.py", "tests/pure/test_decisions.py")
HISTORIES: Final = ("tests/simulation/test_histories.py",)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A bug: ``old`` stands once in the file and becomes ``new``; ``tests`` are those that should catch it."""

    file: str
    bug: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS: Final = (
    # One in each table.
    Mutation(
        "units/tables/service.py",
        "a unit that falls ill stays ready",
        "        *rows((P.READY,), fact.HealthReported, P.RUNNING, healing.lose_ready, healing.turned_unready),\n",
        "",
        ("tests/pure/test_healing.py", *HISTORIES),
    ),
    Mutation(
        "units/tables/oneshot.py",
        "a oneshot has no time limit",
        "fact.ContainerStarted, P.RUNNING, do.run_with_deadline)",
        "fact.ContainerStarted, P.RUNNING, do.run)",
        (*KERNEL, "tests/pure/test_timers.py"),
    ),
    Mutation(
        "units/tables/volume.py",
        "a volume holder that was removed is not created again",
        "do.after_loss, container=False)",
        "do.after_loss)",
        (*KERNEL, *HISTORIES),
    ),
    Mutation(
        "units/tables/user_docker.py",
        "user Docker does not follow its context",
        "    *rows(UP, fact.ContextLost, P.STOPPING, do.follow),\n",
        "",
        ("tests/pure/test_tables.py", "tests/pure/test_user_docker.py", "tests/pure/test_switching.py"),
    ),
    Mutation(
        "units/tables/console.py",
        "a second console runs on",
        "        if one.running\n    )",
        "        if not one.running\n    )",
        ("tests/pure/test_switching.py",),
    ),
    Mutation(
        "units/tables/storage.py",
        "a container with namespaces of its own passes as a storage context",
        'if mode != "host"',
        'if mode == "none"',
        ("tests/pure/test_user_docker.py",),
    ),
    Mutation(
        "units/tables/foreign.py",
        "what holds on to a container that is gone is not re-created",
        "rows(UP, on, P.CREATING, relink_anew, relinking.unlinked_for_good)",
        "rows((), on, P.CREATING, relink_anew, relinking.unlinked_for_good)",
        ("tests/pure/test_relinking.py", "tests/pure/test_foreign.py", "tests/simulation/test_foreign.py"),
    ),
    Mutation(
        "units/tables/shared.py",
        "a unit that nobody wants any more is started after its creation",
        "        *rows(creating, fact.ContainerCreated, rest, unmade, given.unwanted),\n",
        "",
        (*KERNEL, *HISTORIES),
    ),
    Mutation(
        "units/tables/running.py",
        "a start that fails again and again is no crash loop",
        "        *rows((P.STARTING,), fact.StartFailed, P.CRASH_LOOP, do.loop, given.loops),\n",
        "",
        (*KERNEL, *HISTORIES),
    ),
    Mutation(
        "units/tables/system_docker.py",
        "an engine that answers no more is still said to serve",
        "    *rows((P.SERVING,), engine_events.EngineUnresponsive, P.HUNG, note),\n",
        "",
        ("tests/pure/test_tables.py", "tests/pure/test_system_docker_table.py"),
    ),
    Mutation(
        "units/switch/table.py",
        "two switches at a time",
        "    if under_way is not None:\n",
        "    if under_way is not None and scene.draining:\n",
        ("tests/pure/test_switching.py", "tests/simulation/test_switches.py"),
    ),
    # Faults that were, taken back: made-up histories find each of them.
    Mutation(
        "units/reconcile.py",
        "a row of the engine's list is a fact",
        "    return tuple(one for one in asked if one.hint)",
        "    return ()",
        HISTORIES,
    ),
    Mutation(
        "units/tables/running.py",
        "a SIGKILL that the engine never took counts",
        "        *rows(stopping, fact.KillDue, None, do.repeat, given.untaken),\n",
        "",
        HISTORIES,
    ),
    Mutation(
        "supervisor/runtime/engine_watch.py",
        "what a new engine ends was stopped by a person",
        "told = replace(told, unserved=True)",
        "told = replace(told, unserved=False)",
        HISTORIES,
    ),
    Mutation(
        "supervisor/engine/members.py",
        "one container whose inspect fails costs all of them",
        "                    why = str(error)\n",
        "                    raise\n",
        HISTORIES,
    ),
    Mutation(
        "units/tables/running.py",
        "a container that the engine still holds is started for ever",
        "        *rows((P.STARTING,), fact.StartFailed, P.CREATING, do.remake_held, given.held_again),\n",
        "",
        HISTORIES,
    ),
    Mutation(
        "units/tables/running.py",
        "an owner's death that is told late changes nothing",
        "        *go(kind, (P.FAILED,), fact.PeerChanged, do.after_owner, given.taken_along_after_all),\n",
        "",
        HISTORIES,
    ),
    # One in each room.
    Mutation(
        "supervisor/logs/redaction.py",
        "a secret on a command line gets out",
        '{GONE}" if telling(match["flag"]) else match[0]',
        '{GONE}" if not telling(match["flag"]) else match[0]',
        ("tests/pure/test_redaction.py",),
    ),
    Mutation(
        "supervisor/state/lock.py",
        "two supervisors on one run directory",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        ("tests/programs/test_lock.py",),
    ),
    Mutation(
        "supervisor/engine/decode.py",
        "an exit code that is missing counts as a success",
        'ContainerDied(unit, container, number(attributes.get("exitCode"), UNKNOWN_EXIT))',
        'ContainerDied(unit, container, number(attributes.get("exitCode"), 0))',
        ("tests/pure/test_decode.py",),
    ),
    Mutation(
        "supervisor/config/isolated.py",
        "what is wrong with a configuration is lost on the way from the child",
        "done.returncode == REFUSED",
        "done.returncode == -REFUSED",
        ("tests/programs/test_config_child.py",),
    ),
    Mutation(
        "supervisor/views/severity.py",
        "an unhealthy unit needs no attention",
        'ill = unit["flapping"] or unit["health"] == "unhealthy"',
        'ill = unit["flapping"]',
        ("tests/pure/test_attention.py", "tests/pure/test_status_page.py"),
    ),
    Mutation(
        "supervisor/runtime/gating.py",
        "a veto of a start is not heard",
        "        if leave.vetoes:\n",
        "        if leave.vetoes and unit.restarts:\n",
        ("tests/programs/test_gates.py",),
    ),
    Mutation(
        "supervisor/journal/why.py",
        "why does not look at the units that this one depends on",
        "    return frozenset(queue[1:])",
        "    return frozenset()",
        ("tests/pure/test_explain.py", "tests/pure/test_journal.py"),
    ),
    Mutation(
        "supervisor/dockerd/command_line.py",
        "an engine speaks to systemd in the supervisor's name",
        '"NOTIFY_SOCKET", "LISTEN_FDS"',
        '"LISTEN_FDS"',
        ("tests/pure/test_system_docker.py",),
    ),
    Mutation(
        "supervisor/http/access.py",
        "the control socket is open to everybody for a moment",
        "os.umask(0o177)",
        "os.umask(0)",
        ("tests/pure/test_doors.py", "tests/pure/test_control.py"),
    ),
    Mutation(
        "supervisor/cli/wait.py",
        "a wait that failed is exit code 0",
        "    return FAILED, f",
        "    return OK, f",
        ("tests/pure/test_client_wait.py",),
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a bug; ``by`` is empty when no test caught it."""

    mutation: Mutation
    by: str


def plant(copy: Path, mutation: Mutation) -> Seen:
    """Put it in, run its tests until the first one fails, and take it out again."""
    path = copy / mutation.file
    was = path.read_text()
    if was.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.file}: not once in it: {mutation.old!r}")
    path.write_text(was.replace(mutation.old, mutation.new))
    try:
        return Seen(mutation, caught_by(copy, mutation.tests))
    finally:
        path.write_text(was)


def caught_by(copy: Path, tests: tuple[str, ...]) -> str:
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "--histories", "400", "--tb", "no"]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": str(copy)}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{tests[0]} (it hangs)"
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", done.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(f"pytest ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return found[1]


def page(seen: list[Seen]) -> str:
    lines = [
        "# Bugs that the tests were seen to catch",
        "",
        "One in each table and each room. `python -m script.mutations` plants them again, one at a time, in a copy",
        "of the checkout; `--write` renews this page.",
        "",
        "| file | bug | caught by |",
        "| --- | --- | --- |",
        *(f"| `{one.mutation.file}` | {one.mutation.bug} | `{one.by}` |" for one in seen),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m script.mutations", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(arguments)
    chosen = [one for one in MUTATIONS if not asked.files or one.file.startswith(tuple(asked.files))]
    seen = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as scratch:
        copy = Path(scratch) / "checkout"
        shutil.copytree(REPOSITORY, copy, ignore=LEFT_OUT)
        for mutation in chosen:
            seen.append(plant(copy, mutation))
            print(f"{seen[-1].by or 'NOT CAUGHT':<90} {mutation.file}: {mutation.bug}", flush=True)
    alive = [one for one in seen if not one.by]
    if asked.write and not alive:
        PAGE.write_text(page(seen))
    print(f"{len(seen) - len(alive)} of {len(seen)} bugs were caught")
    return int(bool(alive))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

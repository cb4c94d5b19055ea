"""The catalogue of the log: the name of every line that is ever written, its level, and when it is.

A test collects the names from the source and compares; docs/reference/log.md's tables are made from here. A running
supervisor does not load it.
"""

from units.records import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of line. Its name is constant: whoever filters by it may rely on that."""

    event: str
    level: str
    """Every level that it may have, and what decides, in Markdown."""
    when: str
    """In Markdown."""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    lines: tuple[Line, ...]


CATALOGUE: tuple[Group, ...] = (
    Group(
        "Events of units",
        (
            Line(
                "unit.transition",
                "info; warning for `crash-loop`, `failed`, `image-missing`",
                "a unit went from one state to another",
            ),
            Line(
                "unit.decision",
                "debug",
                "what was decided: `rule`, its inputs, `outcome`; see [decisions](decisions.md)",
            ),
            Line(
                "unit.fact",
                "info for a person's wish, else debug",
                "a fact that moved nothing and may explain what follows; `refused` says why a wish was refused",
            ),
            Line("incident.opened", "warning", "something fell, and nothing else that is not over explains it"),
            Line("incident.closed", "info", "all its `units` have been well for 10 s; they were not for `seconds`"),
            Line("order.given", "debug", "the engine is asked for something, or a timer is set"),
            Line("order.failed", "debug", "the engine refused; the transition that follows says what becomes of it"),
            Line("leftover.removed", "info", "a second container of a unit, left by a crash, was removed"),
            Line("leftover.kept", "warning", "it could not be removed"),
            Line("replaced.kept", "warning", "a replaced container could not be removed or moved back"),
        ),
    ),
    Group(
        "Consoles, storage context, user Docker",
        (
            Line(
                "switch.step",
                "info",
                "a [switch](../explanation/switching.md) came to this `step`; `of`, `origin` and `target` say which "
                "switch",
            ),
            Line(
                "switch.ended",
                "info; warning when it was undone",
                "`result` is `done`, `refused`, `rolled-back`, `stuck` or `dropped`; `steps` has the seconds of each",
            ),
            Line(
                "switch.interrupted",
                "warning",
                "the supervisor before this one ended in the middle of a switch; the choice on disk holds",
            ),
            Line("switch.intent-kept", "warning", "the note of a switch that is over could not be removed"),
            Line("console.parked", "info", "a console that is not the chosen one ran, was stopped, and is kept"),
            Line("console.not-parked", "warning", "it could not be stopped"),
            Line(
                "console.not-swapped",
                "warning",
                "a recreate failed, and the old container could not be given its name back",
            ),
            Line("user_docker.started", "info", "its process was started: `pid`, `binary`, `context`"),
            Line("user_docker.adopted", "info", "its process was found running"),
            Line("user_docker.ended", "info", "its process ended, `how`, and with which last words (`output`)"),
            Line(
                "user_docker.certificate",
                "info",
                "a certificate for TLS was made, made anew or written: `what`, and why",
            ),
            Line("user_docker.silent", "warning", "it no longer serves; `trouble` says how that shows"),
            Line("user_docker.second", "warning", "one that an earlier supervisor started elsewhere is ended first"),
            Line("user_docker.stale_pidfile", "info", "the pid file of a dead one was removed"),
            Line("user_docker.no_record", "warning", "what a later supervisor needs to know of it cannot be written"),
            Line("user_docker.no_log", "warning", "its log cannot be written"),
        ),
    ),
    Group(
        "Foreign containers (`dockwarden watch`)",
        (
            Line(
                "container.recreated",
                "info",
                "a container was made anew with all of its configuration, since what it held on to was gone",
            ),
            Line(
                "container.not-put-back",
                "warning",
                "making it anew failed, and this step of undoing it did, too: it needs a person",
            ),
            Line(
                "container.recreate-resumed",
                "warning",
                "the supervisor before this one ended in the middle of making `name` anew; it is finished, or "
                "undone, now",
            ),
            Line(
                "container.recreate-not-noted",
                "warning",
                "it cannot be written down that a container is being made anew: a kill -9 just then would need a "
                "person",
            ),
            Line(
                "label.ignored",
                "warning",
                "a label makes no sense; its default is used, and the container is watched. Told once",
            ),
            Line(
                "names.not-kept",
                "warning",
                "which id was whose cannot be written down: an owner made anew while nobody watches leaves its "
                "friends behind",
            ),
            Line("dry-run.would", "info", "what would have been done"),
            Line("watch.waiting", "info", "`AUTOHEAL_START_PERIOD` is not over yet"),
            Line("notification.failed", "warning", "a receiver could not be told; once for each row of failures"),
            Line("notification.back", "info", "it can be told again"),
            Line(
                "hooks.found",
                "info",
                "so many `hooks` are in the `folder`: at the start, after SIGHUP and `hooks reload`",
            ),
            Line(
                "hook.refused",
                "warning",
                "a file is no hook, for a `reason`: somebody else could change it, or there are too many",
            ),
            Line("hook.failed", "warning", "a `hook` did not end well, `on` this event"),
            Line("hook.resting", "warning", "it failed 5 times in a row and is left alone for `seconds`"),
            Line("hook.switched", "info", "somebody switched a hook `on`, or off"),
            Line("hook.vetoed", "info", "a gate said no, at this `point`, to something about this `unit`"),
            Line("hooks.not-loaded", "warning", "there is no process for Python hooks; those of before go on"),
            Line(
                "veto.overruled", "warning", "the stop was vetoed, and is carried out all the same: the host goes down"
            ),
        ),
    ),
    Group(
        "Events of the host",
        (
            Line("boot.started", "info", "everything is checked, units are about to start"),
            Line("boot.refused", "error", "`boot` ends with `exit_code`, nothing was touched"),
            Line("config.warning", "warning", "a key that is not understood, a dependency that is ignored"),
            Line("config.read", "info", "the configuration was read again"),
            Line("config.refused", "error", "it does not hold; the present one stays"),
            Line("engine.back", "info", "the engine's event stream is open"),
            Line("engine.awaited", "info", "it has not been open yet, and why"),
            Line("engine.lost", "warning", "it was open, and is no more"),
            Line("snapshot.asked", "debug", "something does not fit: the engine is asked how things are"),
            Line(
                "snapshot.taken",
                "info with corrections, else debug",
                "what the engine says was compared with what is known",
            ),
            Line("snapshot.failed", "warning", "the engine did not say"),
            Line("images.loaded", "info", "an archive of `--images` was loaded"),
            Line("images.failed", "error", "an archive could not be read"),
            Line("images.unreadable", "error", "the directory of archives could not be read"),
            Line("images.unstamped", "warning", "an archive will be loaded again at the next boot"),
            Line("state.corrupt", "warning", "the state file is damaged and was put aside"),
            Line("state.not-written", "error", "the state cannot be written, say for a full disk; told once"),
            Line("state.written-again", "info", "it can again"),
            Line(
                "records.damaged",
                "warning",
                "so many `lines` of the records of before were damaged, as after a power loss, and are left out",
            ),
            Line("records.not-read", "warning", "they cannot be read: `why` begins anew"),
            Line(
                "records.not-written",
                "warning",
                "records cannot be kept over a restart, say for a full disk; told once",
            ),
            Line("records.written-again", "info", "they can again"),
            Line(
                "log.lost",
                "warning",
                "the reader of this `target` had stopped reading, or its disk was full: so many `lines` are missing",
            ),
            Line("log.target-failed", "warning", "lines do not get to this `target` at present, for this `error`"),
            Line("log.target-back", "info", "they do again; what `log.lost` does not count has been handed over"),
            Line("supervisor.notice", "warning", "something a person should know that is no unit's state"),
            Line(
                "control.asked",
                "info",
                "somebody asked for a change on the [control socket](control.md#who-may): `uid`, `pid`, `program`, "
                "`verb`, `unit`, and `outcome` (`done`, `under way`, `refused: ...`, `left`: did not wait)",
            ),
            Line("shutdown.asked", "info", "the host goes down"),
            Line("shutdown.hurried", "warning", "no more patience: what runs is killed"),
            Line("shutdown.forced", "error", "asked three times: the supervisor ends at once"),
            Line("shutdown.done", "info", "`left_running` says whether units still run"),
        ),
    ),
    Group(
        "Events of an embedded engine",
        (
            Line("system_docker.state", "info", "its process started, serves, stops"),
            Line("system_docker.lost", "warning", "it died, and when it is started again; `output` has its last lines"),
            Line("system_docker.killed", "warning", "it did not end in time"),
            Line("system_docker.args", "warning", "an argument of the engine may surprise"),
            Line("system_docker.containerd", "warning", "there is a containerd already, and the engine would use it"),
            Line("system_docker.stale_pidfile", "info", "the pid file of a dead one was removed"),
            Line("system_docker.leftover", "warning", "a file could not be removed"),
            Line("system_docker.no_log", "warning", "its log cannot be written"),
        ),
    ),
)

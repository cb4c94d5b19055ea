"""The catalogue of the log: the name of every line, its level, and when it is written.

A test collects the names from the source and compares; the tables of docs/reference/log.md are generated from it. A
running supervisor does not load it.
"""

from units.records import dataclass


@dataclass(frozen=True, slots=True)
class CatalogueLine:
    """One kind of line. Its name is constant, so that filters can rely on it."""

    event: str
    level: str
    """Every level that it may have, and what decides, in Markdown."""
    when: str
    """In Markdown."""


@dataclass(frozen=True, slots=True)
class CatalogueGroup:
    title: str
    lines: tuple[CatalogueLine, ...]


CATALOGUE: tuple[CatalogueGroup, ...] = (
    CatalogueGroup(
        "Events of units",
        (
            CatalogueLine(
                "unit.transition",
                "info; warning for a crash, and for `backoff`, `crash-loop`, `failed`, `image-missing`",
                "a unit went from one state to another; `happened` says in words what `on` names",
            ),
            CatalogueLine(
                "unit.restarted",
                "info",
                "a unit was restarted, besides its `unit.transition`: `restart` is the reason, `restarts` the count",
            ),
            CatalogueLine(
                "unit.decision",
                "debug",
                "what was decided: `rule`, its inputs, `outcome`; see [decisions](decisions.md)",
            ),
            CatalogueLine(
                "unit.fact",
                "info for a request, warning for an OOM kill, else debug",
                "an event that changed no state and may explain what follows; `refused` says why a request was refused",
            ),
            CatalogueLine("incident.opened", "warning", "a failure began that belongs to no open incident"),
            CatalogueLine("incident.closed", "info", "all its `units` have been healthy for 10 s; it lasted `seconds`"),
            CatalogueLine("order.given", "debug", "an order to the engine was given, or a timer was set"),
            CatalogueLine(
                "order.failed", "debug", "the engine refused an order; the transition that follows has the result"
            ),
            CatalogueLine("leftover.removed", "info", "a second container of a unit, left by a crash, was removed"),
            CatalogueLine("leftover.kept", "warning", "such a container could not be removed"),
        ),
    ),
    CatalogueGroup(
        "Consoles, storage context, user Docker",
        (
            CatalogueLine(
                "switch.step",
                "info",
                "a [switch](../explanation/switching.md) reached this `step`; `of`, `origin` and `target` say which "
                "switch",
            ),
            CatalogueLine(
                "switch.ended",
                "info; warning when it was undone",
                "`result` is `done`, `refused`, `rolled-back`, `stuck` or `dropped`; `steps` has the seconds of each",
            ),
            CatalogueLine(
                "switch.interrupted",
                "warning",
                "the previous supervisor ended during a switch; the choice on disk applies",
            ),
            CatalogueLine(
                "switch.intent-kept", "warning", "the saved intent of a finished switch could not be removed"
            ),
            CatalogueLine(
                "console.parked",
                "info",
                "a running console other than the chosen one was stopped, and its container kept",
            ),
            CatalogueLine(
                "switch.served-unsaved",
                "warning",
                "where user Docker serves cannot be saved, for the next boot's fallback",
            ),
            CatalogueLine("console.not-parked", "warning", "such a console could not be stopped"),
            CatalogueLine(
                "console.not-swapped",
                "warning",
                "a re-creation failed, and the old container could not be renamed back",
            ),
            CatalogueLine("user_docker.started", "info", "its process was started: `pid`, `binary`, `context`"),
            CatalogueLine("user_docker.adopted", "info", "its process was found running"),
            CatalogueLine("user_docker.ended", "info", "its process ended; `how`, and its last lines (`output`)"),
            CatalogueLine(
                "user_docker.certificate",
                "info",
                "a TLS certificate was created, renewed or written: `what`, and why",
            ),
            CatalogueLine("user_docker.silent", "warning", "it no longer serves; `trouble` has the symptom"),
            CatalogueLine(
                "user_docker.second",
                "warning",
                "a process that an earlier supervisor started in another place is stopped first",
            ),
            CatalogueLine("user_docker.stale_pidfile", "info", "the pid file of a dead process was removed"),
            CatalogueLine(
                "user_docker.cleared",
                "info",
                "what a dead dockerd left was ended: its `containers`, and how many other `processes`",
            ),
            CatalogueLine("user_docker.no_record", "warning", "its record for the next supervisor cannot be written"),
            CatalogueLine("user_docker.no_log", "warning", "its log cannot be written"),
        ),
    ),
    CatalogueGroup(
        "Foreign containers (`dockwarden watch`)",
        (
            CatalogueLine(
                "container.recreated",
                "info",
                "a container was re-created with all of its configuration, because of a stale reference",
            ),
            CatalogueLine(
                "run.ended",
                "warning",
                "a run that its engine had lost still lived: so many `processes` were ended before it was made anew",
            ),
            CatalogueLine(
                "endpoint.freed",
                "warning",
                "the engine still had an endpoint of an ended run in `network`, which prevented the start of `name`",
            ),
            CatalogueLine(
                "container.not-put-back",
                "warning",
                "a re-creation failed, and undoing it failed at this step: manual repair is needed",
            ),
            CatalogueLine(
                "container.recreate-resumed",
                "warning",
                "the previous supervisor ended while it re-created `name`; the re-creation is completed or undone now",
            ),
            CatalogueLine(
                "container.recreate-not-noted",
                "warning",
                "the note of a re-creation cannot be written: a kill -9 during it would need manual repair",
            ),
            CatalogueLine(
                "label.ignored",
                "warning",
                "invalid or unknown label ignored; the default is used, and the container is watched. Logged once",
            ),
            CatalogueLine(
                "names.not-kept",
                "warning",
                "the ids of containers cannot be saved: if one is re-created while no supervisor runs, containers that "
                "depend on it are not re-linked",
            ),
            CatalogueLine(
                "dry-run.would",
                "info",
                "dry run: what would have been done: `unit`, `what`, and the `reason`",
            ),
            CatalogueLine("watch.waiting", "info", "`AUTOHEAL_START_PERIOD` is not over yet"),
            CatalogueLine(
                "notification.failed",
                "warning",
                "a notification could not be delivered; once for each series of failures",
            ),
            CatalogueLine("notification.back", "info", "notifications are delivered again"),
            CatalogueLine(
                "hooks.found",
                "info",
                "number of `hooks` in the `folder`: at the start, after SIGHUP and `hooks reload`",
            ),
            CatalogueLine(
                "hook.refused",
                "warning",
                "a file is not used as a hook, with the `reason`: other users could change it, or there are too many",
            ),
            CatalogueLine("hook.failed", "warning", "a `hook` failed `on` this event"),
            CatalogueLine("hook.resting", "warning", "a hook failed 5 times in a row and is not run for `seconds`"),
            CatalogueLine("hook.switched", "info", "a hook was switched `on` or off"),
            CatalogueLine("hook.vetoed", "info", "a gate vetoed an order to this `unit`, at this `point`"),
            CatalogueLine(
                "hooks.not-loaded",
                "warning",
                "the process for Python hooks did not start; the previous hooks stay in use",
            ),
            CatalogueLine("veto.overruled", "warning", "a vetoed stop is carried out, because the host goes down"),
        ),
    ),
    CatalogueGroup(
        "Events of the host",
        (
            CatalogueLine("boot.started", "info", "all checks passed, units are about to start"),
            CatalogueLine("boot.refused", "error", "`boot` ends with `exit_code`, nothing was changed"),
            CatalogueLine("config.warning", "warning", "an unknown key, or a dependency that is ignored"),
            CatalogueLine("config.read", "info", "the configuration was read again, and is in force"),
            CatalogueLine("config.waiting", "info", "it was read during a switch, and is read again at its end"),
            CatalogueLine("config.refused", "error", "the configuration is invalid; the current one stays in force"),
            CatalogueLine(
                "host.trouble",
                "error",
                "the host has to do without something, though it runs: `of` is `state`, `configuration`, `choice`,"
                " `orphans`, `access`, `notices` or `restart`",
            ),
            CatalogueLine("host.well", "info", "what a `host.trouble` was about works again"),
            CatalogueLine("engine.back", "info", "the engine's event stream is open"),
            CatalogueLine("engine.awaited", "info", "the event stream has not been open yet, and why"),
            CatalogueLine("engine.lost", "warning", "the event stream was open and has ended"),
            CatalogueLine(
                "stream.cut", "debug", "a proxy cut the event stream; the engine serves, and it was opened again"
            ),
            CatalogueLine(
                "variable.unused",
                "warning",
                "a variable of the environment is set and means nothing here; `reason` says why and what does",
            ),
            CatalogueLine("engine.podman", "warning", "the engine is Podman; `reason` says what cannot be seen there"),
            CatalogueLine("engine.untried", "warning", "the engine serves a newer API than any that was tried"),
            CatalogueLine("stream.deaf", "warning", "it was open and silent; it is opened again, with what was missed"),
            CatalogueLine(
                "check.not-asked",
                "warning",
                "a health check cannot be asked from here, which says nothing of the container",
            ),
            CatalogueLine(
                "container.unknown", "warning", "its inspect hangs or fails: it stays as it was known, the others go on"
            ),
            CatalogueLine("container.known", "info", "its inspect is answered again"),
            CatalogueLine(
                "snapshot.asked", "debug", "the engine is asked for a snapshot, because something does not fit"
            ),
            CatalogueLine(
                "snapshot.taken",
                "info with corrections, else debug",
                "the engine's containers were compared with the known state",
            ),
            CatalogueLine("snapshot.failed", "warning", "the engine did not answer a snapshot"),
            CatalogueLine("images.loaded", "info", "an archive of `--images` was loaded"),
            CatalogueLine("images.failed", "error", "an archive could not be read"),
            CatalogueLine("images.unreadable", "error", "the directory of archives could not be read"),
            CatalogueLine("images.unstamped", "warning", "an archive will be loaded again at the next boot"),
            CatalogueLine("state.corrupt", "warning", "the state file is damaged and was moved aside"),
            CatalogueLine(
                "state.not-written", "error", "the state cannot be written (for example a full disk); logged once"
            ),
            CatalogueLine("state.unread", "error", "a state file is there and cannot be read; the one before it is"),
            CatalogueLine(
                "state.older", "warning", "the newest state file is of no use, so the one before it was read"
            ),
            CatalogueLine("state.written-again", "info", "the state can be written again"),
            CatalogueLine(
                "records.damaged",
                "warning",
                "number of damaged `lines` in the previous records, for example after a power loss; they are left out",
            ),
            CatalogueLine(
                "records.not-read", "warning", "the previous records cannot be read: `why` knows only this supervisor's"
            ),
            CatalogueLine(
                "records.not-written",
                "warning",
                "records cannot be written (for example a full disk), so a restart loses them; logged once",
            ),
            CatalogueLine("records.written-again", "info", "records can be written again"),
            CatalogueLine(
                "log.lost",
                "warning",
                "the reader of this `target` had stopped reading, or its disk was full: number of `lines` missing",
            ),
            CatalogueLine(
                "library.said",
                "warning",
                "a library's own `logger` said something, such as aiohttp of a request that makes no sense; at most "
                "once a minute each, and how many were `left_out` since the last one",
            ),
            CatalogueLine("log.target-failed", "warning", "lines cannot be written to this `target`, with the `error`"),
            CatalogueLine(
                "log.target-back", "info", "lines are written again; all but those counted by `log.lost` were delivered"
            ),
            CatalogueLine("supervisor.notice", "warning", "a warning for the operator that is no unit's state"),
            CatalogueLine(
                "control.asked",
                "info",
                "a change was requested on the [control socket](control.md#who-may): `uid`, `pid`, `program`, "
                "`verb`, `unit`, and `outcome` (`done`, `under way`, `refused: ...`, `left`: did not wait)",
            ),
            CatalogueLine("shutdown.asked", "info", "the host goes down"),
            CatalogueLine("shutdown.hurried", "warning", "immediate shutdown: running containers are killed"),
            CatalogueLine("shutdown.forced", "error", "shutdown requested three times: the supervisor ends at once"),
            CatalogueLine(
                "shutdown.done", "info", "`left_running`: whether units still run; `unkillable`, `orphans`: which"
            ),
        ),
    ),
    CatalogueGroup(
        "Events of an embedded engine",
        (
            CatalogueLine("system_docker.state", "info", "its process started, stops (goes: see `unit.transition`)"),
            CatalogueLine(
                "system_docker.lost", "warning", "it died; `output` has its last lines (goes: see `unit.transition`)"
            ),
            CatalogueLine("system_docker.killed", "warning", "it did not stop in time (goes: see `unit.transition`)"),
            CatalogueLine("system_docker.args", "warning", "an argument of the engine may have unexpected effects"),
            CatalogueLine(
                "system_docker.containerd", "warning", "another containerd is running, and the engine would use it"
            ),
            CatalogueLine("system_docker.stale_pidfile", "info", "the pid file of a dead process was removed"),
            CatalogueLine("system_docker.leftover", "warning", "a file could not be removed"),
            CatalogueLine("system_docker.no_log", "warning", "its log cannot be written"),
        ),
    ),
)

"""Which command runs: ``boot`` and ``watch`` load a supervisor, all others only what they need.

Only ``boot`` imports the daemon: a client must answer before the daemon's modules would even be loaded.
"""

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from supervisor.cli.commands import parser, validate_config
from supervisor.state.paths import CONFIG

if TYPE_CHECKING:
    import argparse

    from supervisor.config.autoheal import Autoheal
    from supervisor.logs.targets import TargetSpec
    from supervisor.receivers import Receivers


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["__complete"]:
        from supervisor.cli import completion_scripts

        return completion_scripts.answer(parser(), argv[1:])
    args = parser(argv).parse_args(argv)
    if args.command in {"boot", "watch"}:
        return _run(args)
    if args.command == "config":
        return validate_config(args)
    if args.command == "completion":
        from supervisor.cli import completion_scripts

        return completion_scripts.run(args)
    if args.command == "tls":
        from supervisor.cli import tls

        return tls.run(args)
    from supervisor.cli.main import run

    return run(args)


def _run(args: "argparse.Namespace") -> int:
    # A reload that is asked for during the start waits for `Host.handle_signals`; it must not end the start.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

    import asyncio
    from collections.abc import Callable, Coroutine

    import uvloop

    from supervisor.config import autoheal
    from supervisor.http.access import Access
    from supervisor.mode import Options

    gc.disable()  # What is loaded now becomes no garbage: the searches would be a sixth of the start.

    def runner(main: Callable[[], Coroutine[None, None, int]]) -> int:
        gc.freeze()  # No later search looks at these 50,000 objects, in the middle of a restart.
        gc.enable()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    booting = args.command == "boot"
    said = None if booting else autoheal.read(os.environ)
    told = _receivers(args, said)
    try:
        log_targets = _log_targets(args)
    except ValueError as error:
        print(f"dockwarden {args.command}: {error}", file=sys.stderr)
        return 2
    options = Options(
        config=tuple(args.config or (CONFIG,)) if booting else (),
        engine=args.engine,
        state_dir=args.state_dir,
        run_dir=args.run_dir,
        images=args.images if booting else None,
        receivers=() if told is None else told.made,
        unheard="" if told is None else told.trouble,
        hooks=args.hooks,
        access=Access(args.control_group, args.control_readers, args.control_listen),
        listen=args.listen or None,
        metrics_units=args.metrics_units,
        log_format=args.log_format,
        log_level=args.log_level,
        log_targets=log_targets,
    )
    if said is None:
        from supervisor.boot_app import boot

        return boot(options, runner)
    from supervisor.watch_app import WatchOptions, watch

    return watch(WatchOptions(options, args.everything, args.dry, said, args.checks_elsewhere), runner)


def _receivers(args: "argparse.Namespace", said: "Autoheal | None") -> "Receivers | None":
    """Nothing is imported where nobody is to be told."""
    named = (args.notify_webhook, args.notify_apprise, args.notify_command)
    if not any(named) and (said is None or not said.notifies):
        return None
    from supervisor.receivers import receivers

    return receivers(*named, said)


def _log_targets(args: "argparse.Namespace") -> "tuple[TargetSpec, ...]":
    """Raises ValueError, which names the option."""
    if not args.log_target:
        return ()
    from supervisor.logs.targets import parse

    return parse(args.log_target)


def entry() -> None:
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`dockwarden events | head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    entry()

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

    from hooks.notifier import Receiver
    from supervisor.logs.targets import TargetSpec


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

    from supervisor.http.access import Access
    from supervisor.mode import Options

    gc.disable()  # What is loaded now becomes no garbage: the searches would be a sixth of the start.

    def runner(main: Callable[[], Coroutine[None, None, int]]) -> int:
        gc.freeze()  # No later search looks at these 50,000 objects, in the middle of a restart.
        gc.enable()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    booting = args.command == "boot"
    try:
        receivers, log_targets = _receivers(args), _log_targets(args)
    except ValueError as error:
        print(f"dockwarden {args.command}: {error}", file=sys.stderr)
        return 2
    options = Options(
        config=tuple(args.config or (CONFIG,)) if booting else (),
        engine=args.engine,
        state_dir=args.state_dir,
        run_dir=args.run_dir,
        images=args.images if booting else None,
        receivers=receivers,
        hooks=args.hooks,
        access=Access(args.control_group, args.control_readers, args.control_listen),
        listen=args.listen or None,
        metrics_units=args.metrics_units,
        log_format=args.log_format,
        log_level=args.log_level,
        log_targets=log_targets,
    )
    if booting:
        from supervisor.boot_app import boot

        return boot(options, runner)
    from supervisor import watch_app
    from supervisor.preflight import BootError

    try:
        wanted = watch_app.options_from(options, os.environ, everything=args.everything, dry=args.dry)
    except BootError as error:
        print(f"dockwarden watch: {error}", file=sys.stderr)
        return error.code
    return watch_app.watch(wanted, runner)


def _receivers(args: "argparse.Namespace") -> "tuple[Receiver, ...]":
    """Raises ValueError, which names the option. A watch listens to docker-autoheal's variables, too."""
    environ = os.environ if args.command == "watch" else {}
    urls = [*args.notify_webhook, *filter(None, [environ.get("WEBHOOK_URL")])]
    script = environ.get("POST_RESTART_SCRIPT")
    if not urls and not args.notify_command and not script:
        return ()
    from hooks.command import CommandReceiver
    from hooks.webhook import Webhook

    key = environ.get("WEBHOOK_JSON_KEY") or "text"
    try:
        found: list[Receiver] = [Webhook(url, key) for url in urls]
    except ValueError as error:
        raise ValueError(f"--notify-webhook: {error}") from error
    try:
        found += [CommandReceiver(command) for command in args.notify_command]
        found += [CommandReceiver(script, arguments=True)] if script else []
    except ValueError as error:
        raise ValueError(f"--notify-command: {error}") from error
    return tuple(found)


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

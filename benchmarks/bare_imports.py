"""The least that a program can weigh that is made of our five packages: it imports them, and its loop waits."""

import asyncio
import importlib

import uvloop

for package in ("aiodocker", "yaml", "structlog", "prometheus_client"):
    importlib.import_module(package)

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.Event().wait())

"""The least that a program can weigh that is made of our five packages: it imports them, and its loop waits.

``python -m benchmarks.bare_imports [NAME]...``: without these. Without uvloop it waits in asyncio's own loop. When all
is imported it says so.
"""

import asyncio
import importlib
import sys

FIVE = ("aiodocker", "pyyaml", "uvloop", "structlog", "prometheus_client")

if __name__ == "__main__":
    loaded = {
        name: importlib.import_module("yaml" if name == "pyyaml" else name) for name in FIVE if name not in sys.argv[1:]
    }
    print("imported", flush=True)
    with asyncio.Runner(loop_factory=loaded["uvloop"].new_event_loop if "uvloop" in loaded else None) as runner:
        runner.run(asyncio.Event().wait())

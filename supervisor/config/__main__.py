"""The child that reads the configuration for a supervisor: paths come in as JSON, pickled settings go out."""

import json
import pickle
import sys
from pathlib import Path

from supervisor.config.isolated import REFUSED
from supervisor.config.loader import read
from supervisor.config.tree import ConfigError


def main() -> int:
    """Answer ``isolated.py``, which started us."""
    asked = json.load(sys.stdin)
    try:
        settings = read([Path(path) for path in asked["paths"]], asked["kernel"])
    except ConfigError as error:
        sys.stdout.write(str(error))
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())

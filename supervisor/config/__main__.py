"""The child that reads the configuration for a supervisor: paths come in as JSON, a pickled reading goes out."""

import json
import pickle
import sys

from supervisor.config.isolated import REFUSED, answer
from supervisor.config.tree import ConfigError


def main() -> int:
    """Answer ``isolated.py``, which started us."""
    try:
        found = answer(json.load(sys.stdin))
    except ConfigError as error:
        sys.stdout.write(str(error))
        return REFUSED
    sys.stdout.buffer.write(pickle.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What is kept of containers that are being replaced, so that the next supervisor can finish it."""

from typing import Any

from supervisor.state.writer import Store


def unfinished(store: Store) -> dict[str, dict[str, Any]]:
    """Replacements that were cut off, by the container's name: of a file, those that can be finished.

    One that is done has only its old container left to be removed.
    """
    found = (store.load() or {}).get("recreations")
    if not isinstance(found, dict):
        return {}
    return {
        name: record
        for name, record in found.items()
        if isinstance(record, dict)
        and isinstance(record.get("old"), str)
        and (record.get("done") is True or isinstance(record.get("running"), bool))
    }

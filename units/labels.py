"""The labels by which a container of ours is known."""

LABEL_UNIT = "dockwarden.unit"
"""Every container of ours carries its unit's name under this label; only such containers are ever touched."""
LABEL_HASH = "dockwarden.config-hash"
LABEL_CONSOLE = "dockwarden.console"
"""Which console a container of the unit ``console`` is."""

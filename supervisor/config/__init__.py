"""From cloud-config files and labels to settings and specs; ``python -m supervisor.config`` is the child that reads.

May import: engine (what an inspected container is), logs, units.
"""

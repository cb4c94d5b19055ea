"""The dockerd processes of this host, System Docker's and the user's.

May import: engine, runtime.loop, state, logs, units.
"""

"""The HTTP servers and clients, and access control.

May import: journal, runtime.loop, views, engine, state, logs, hooks, units.
"""

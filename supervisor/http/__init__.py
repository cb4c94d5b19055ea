"""All HTTP of ours: the server, the clients, who may enter.

May import: journal, dockerd, runtime, views, engine, state, logs, hooks, units.
"""

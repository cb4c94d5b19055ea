"""All HTTP of ours: the server, the clients, who may enter.

May import: journal, runtime.loop, views, engine, state, logs, hooks, units.
"""

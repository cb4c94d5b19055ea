"""What turns: the loop, orders, the engine watch, health checks, switches, gates, re-creation.

May import: engine, state, logs, hooks, units.
"""

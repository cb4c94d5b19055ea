"""The commands of the client: light, and without loading the supervisor.

May import: http, views, config, dockerd.tls, engine.address, engine.api_version, engine.connect, engine.names,
state, logs, hooks, units; no app.
"""

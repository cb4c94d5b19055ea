"""The commands of the client: light, and without loading the supervisor.

May import: http, views, config, dockerd.tls, engine.names, engine.api_version, state, logs, hooks, units; no app.
"""

"""The commands of people: light, and never with a supervisor loaded.

May import: http, views, config, dockerd.tls, engine.discovery, engine.api_version, state, logs, hooks, units; no app.
"""

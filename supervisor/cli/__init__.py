"""The commands of people: light, and never with a supervisor loaded.

May import: http.client, http.reach, views, config, dockerd.tls, state, logs, hooks, os_errors, version; never app.
"""

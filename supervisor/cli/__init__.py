"""The commands of people: light, and never with a supervisor loaded.

May import: http.client and http.reach, views, config, dockerd.tls, state, logs, hooks; never app.
"""

"""The commands of people: light, and never with a supervisor loaded.

<<<<<<< HEAD
May import: http, views, config, dockerd.tls, engine.discovery, engine.api_version, state, logs, hooks, units; no app.
=======
May import: http, views, config, dockerd.tls, engine, state, logs, hooks, units; never app.
>>>>>>> bc89cf1 (Bring lint and generated pages in line with the new words)
"""

"""Real engines in throw-away namespaces, for tests that do not believe in fakes."""

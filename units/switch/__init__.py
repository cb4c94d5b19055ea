"""The one machine that is no unit's: how a console, a storage context or an engine is exchanged. Pure."""

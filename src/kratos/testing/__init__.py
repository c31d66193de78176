"""Tools for tests: a service in memory, time under control, and an async pytest plugin."""

"""Drivers: one vendor, one file, one extra. None is imported unless it is asked for by its own name."""

"""Serving in development: what is watched, who supervises, and how one process takes over from another."""

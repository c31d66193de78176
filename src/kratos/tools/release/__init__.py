"""Towards a release: what has changed, and what is shipped."""

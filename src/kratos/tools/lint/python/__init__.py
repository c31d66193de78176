"""Rules for the code of a project."""

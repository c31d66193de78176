"""Rules for the files that configure a project."""

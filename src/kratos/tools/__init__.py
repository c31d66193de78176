"""What runs on a developer's machine: the generator, the command line, lint and templates."""

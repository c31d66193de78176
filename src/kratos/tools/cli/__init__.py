"""The command line, ``kratos``."""

"""The version of the library, and of the generator that belongs to it."""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"

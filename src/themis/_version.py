"""The version of the package: told here alone."""

__version__ = "0.1.0"

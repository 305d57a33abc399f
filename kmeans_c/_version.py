"""The version, alone in its file so that the build can read it without importing the package."""

__version__ = "1.0.0"

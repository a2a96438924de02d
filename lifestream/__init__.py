"""lifestream: one person's stream, from everywhere, live on one page."""

__version__ = "0.1.0"

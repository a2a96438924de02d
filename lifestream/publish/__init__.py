"""Doors out. Each follows the log of changes from a position; a wake-up is a hint, the log is the truth."""

"""The groups of commands, one file each, and what they share. `cli.py` puts them together."""

"""Doors in. Each takes what arrives, puts it where it is durable, and only then answers."""

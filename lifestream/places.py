"""Finds the folders that stay at the top level: in a checkout beside the package, in a wheel inside it."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def top(name: str) -> Path:
    """The folder `templates`, `static`, `migrations` or `hooks`; an installed copy's own comes first."""
    inside = PACKAGE / "_top" / name
    return inside if inside.is_dir() else PACKAGE.parent / name

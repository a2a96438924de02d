"""A consistent copy of a SQLite database that is in use, through SQLite's own backup: a plain copy would not be one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from lifestream.errors import InvalidInput, SetupError

PAGES_AT_ONCE = 1000


def copy_sqlite(database: Path, target: Path) -> None:
    """Writes the copy beside `target` and moves it there when it is whole and checked."""
    if not database.is_file():
        raise SetupError(f"There is no database at {database}; nothing was copied.")
    if target.exists():
        raise InvalidInput(f"{target} is there already; nothing was overwritten. Give another name.")
    partial = target.with_name(target.name + ".partial")
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy, pages=PAGES_AT_ONCE)
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise SetupError(f"The copy failed ({error}); {target} was not written.") from error
    if verdict != "ok":
        partial.unlink(missing_ok=True)
        raise SetupError(f"The copy is damaged ({verdict}), and so is {database}; restore an older backup.")
    os.chmod(partial, 0o600)
    os.replace(partial, target)

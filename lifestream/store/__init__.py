"""The store: SQL through SQLAlchemy, on SQLite or PostgreSQL. Functions are named for the question they answer.

Importing it puts `pysqlite3` in the place of the standard `sqlite3` where that one is older than 3.51.3, whose WAL
two writing processes can corrupt (sqlite.org/wal.html#walresetbug), and where there is a wheel. It has to happen
before SQLAlchemy and aiosqlite are imported: `module=` does not reach SQLAlchemy's async engine.
"""

import sqlite3
import sys

SAFE_SQLITE = (3, 51, 3)

if sqlite3.sqlite_version_info < SAFE_SQLITE and "aiosqlite" not in sys.modules:
    try:
        import pysqlite3
    except ImportError:
        pass
    else:
        sys.modules["sqlite3"] = pysqlite3
        sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2


def sqlite_version() -> tuple[int, int, int]:
    """Of the SQLite that is really used."""
    major, minor, patch = sys.modules["sqlite3"].sqlite_version_info
    return major, minor, patch

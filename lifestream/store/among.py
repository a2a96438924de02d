"""Whether a column holds one of many keys. They travel as one JSON text, so the statement is the same for any number:
SQLAlchemy writes an IN list anew each time, which takes ten times as long as looking them up.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


def among(column: Any, name: str) -> ColumnElement[bool]:
    """`name` is that of the parameter, which takes what `keys` gives."""
    return _among(column, bindparam(name, type_=Text))


def keys(given: Iterable[str]) -> str:
    return orjson.dumps(list(given)).decode()


class _among(GenericFunction[bool]):
    inherit_cache = True


@compiles(_among)
def _compiled(element: _among, compiler: Any, **options: Any) -> str:
    column, given = (compiler.process(one, **options) for one in element.clauses)
    if compiler.dialect.name == "sqlite":
        return f"{column} IN (SELECT value FROM json_each({given}))"
    return f"{column} = ANY(ARRAY(SELECT json_array_elements_text(CAST({given} AS json))))"

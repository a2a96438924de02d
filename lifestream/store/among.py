"""Whether a column holds one of many keys. They travel as one JSON text, so the statement is the same for any number:
SQLAlchemy writes an IN list anew each time, which takes longer than looking the keys up.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator

from lifestream.clean.columns import json_of


def among(column: Any, name: str) -> ColumnElement[bool]:
    """`name` is that of the parameter, which takes the keys."""
    return _among(column, bindparam(name, type_=_Keys))


class _Keys(TypeDecorator[Iterable[Any]]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> str:
        return json_of(list(value or ()))


class _among(GenericFunction[bool]):
    inherit_cache = True


@compiles(_among)
def _compiled(element: _among, compiler: Any, **options: Any) -> str:
    column = next(iter(element.clauses))
    held, given = (compiler.process(one, **options) for one in element.clauses)
    if compiler.dialect.name == "sqlite":
        return f"{held} IN (SELECT value FROM json_each({given}))"
    kind = compiler.dialect.type_compiler_instance.process(column.type)
    keys = f"SELECT CAST(one AS {kind}) FROM json_array_elements_text(CAST({given} AS json)) AS one"
    return f"{held} = ANY(ARRAY({keys}))"

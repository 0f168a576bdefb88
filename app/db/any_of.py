"""`column IN (list)` in statements that are built once, with a list that varies or one that does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, bindparam, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator


def any_of(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Return the condition that `column`, a text, is one of the texts bound as `name`.

    The list is one parameter, so the text of the statement does not depend on its length, as that of SQLAlchemy's `in_`
    does: it is compiled once, and PostgreSQL prepares one statement, not one per length.
    """
    return _AnyOf(column, bindparam(name, type_=_Texts()))


def one_of_texts(column: ColumnElement[str], texts: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `texts`, which are written into the statement.

    SQLite compiles a statement anew at each run if a bound value is compared with the column of a partial index.
    """
    quoted = ("'" + each.replace("'", "''") + "'" for each in sorted(texts))
    return column.in_([literal_column(each, Text()) for each in quoted])


class _Texts(TypeDecorator[Collection[str]]):
    """Texts as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> Any:
        texts = list(value or ())
        return texts if dialect.name == "postgresql" else to_json(texts).decode()


class _AnyOf(FunctionElement[Any]):
    name = "any_of"
    type = NullType()  # a Boolean would be compared with 1 on SQLite, and no index could be used
    inherit_cache = True


@compiles(_AnyOf, "sqlite")
def _for_sqlite(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({texts})))"  # noqa: S608 - both are of SQLAlchemy's own making


@compiles(_AnyOf, "postgresql")
def _for_postgresql(element: _AnyOf, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} = ANY ({texts}))"

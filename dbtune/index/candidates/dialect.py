"""SQL as it was written: sqlglot's PostgreSQL, except that functions keep their names and arguments.

sqlglot makes ``DATE_TRUNC('DAY', x)`` of ``date_trunc('day', x)``. To the server those are two expressions, and an
index on one does not serve a query of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError
from sqlglot.tokens import TokenType  # type: ignore[attr-defined]

from dbtune.workload.lexer import Kind, tokens

PARAMETER = "parameter_"
"""What stands before a parameter's number in the name of its :class:`sqlglot.exp.Placeholder`."""

_WITH_SYNTAX = frozenset({"CAST", "EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM", "XMLELEMENT", "XMLTABLE"})
_ARROWS = {TokenType.ARROW: exp.JSONExtract, TokenType.DARROW: exp.JSONExtractScalar}
_BASE: Any = Postgres.Parser
_BASE_GENERATOR: Any = Postgres.Generator


def _arrow(made: type[exp.Expr]) -> Callable[[Any, Any, Any], Any]:
    return lambda parser, this, path: made(this=this, expression=path)


def _with_plain_arrows(operators: Mapping[TokenType, Any]) -> dict[TokenType, Any]:
    """Return the operators with ``->`` and ``->>`` whose right side stays what it is, not a JSON path."""
    return {token: _arrow(_ARROWS[token]) if token in _ARROWS else parse for token, parse in operators.items()}


class AsWritten(Postgres):
    """PostgreSQL's SQL without any rewriting of functions."""

    Parser: Any = type(
        "Parser",
        (_BASE,),
        {
            "FUNCTIONS": {},
            "FUNCTION_PARSERS": {k: v for k, v in _BASE.FUNCTION_PARSERS.items() if k in _WITH_SYNTAX},
            "COLUMN_OPERATORS": _with_plain_arrows(_BASE.COLUMN_OPERATORS),
            "JSON_OPERATORS": _with_plain_arrows(getattr(_BASE, "JSON_OPERATORS", {})),
        },
    )
    Generator: Any = type(
        "Generator",
        (_BASE_GENERATOR,),
        {
            "TRANSFORMS": {
                **_BASE_GENERATOR.TRANSFORMS,
                exp.JSONExtract: lambda generator, tree: generator.binary(tree, "->"),
                exp.JSONExtractScalar: lambda generator, tree: generator.binary(tree, "->>"),
            }
        },
    )


def parsed(statement: str) -> exp.Expr:
    """Return the tree of a statement with ``$1…$n``.

    :raises SqlglotError: it cannot be read.
    """
    named = "".join(f" :{PARAMETER}{t.text[1:]}" if t.kind is Kind.PARAMETER else t.text for t in tokens(statement))
    trees = AsWritten().parse(named)
    if not trees or trees[0] is None:
        raise ParseError("holds no statement")
    return trees[0]


def parsed_expression(text: str) -> exp.Expr:
    """Return the tree of a single expression.

    :raises SqlglotError: it cannot be read, or is more than one expression.
    """
    tree = parsed(f"SELECT {text}")
    if not isinstance(tree, exp.Select) or len(tree.selects) != 1 or len(tree.args.get("expressions") or ()) != 1:
        raise ParseError(f"not one expression: {text}")
    return tree.selects[0].unalias()


def rendered(tree: exp.Expr) -> str:
    """Return the tree as SQL."""
    return AsWritten().generate(tree, normalize_functions=False, comments=False)


def kinds(*names: str) -> tuple[type[exp.Expr], ...]:
    """Return sqlglot's classes of these names, as far as its version has them."""
    return tuple(found for name in names if (found := getattr(exp, name, None)) is not None)


def part(tree: exp.Expr, name: str) -> Any:
    """Return an argument whose name sqlglot 28 gave an underscore, such as ``from`` and ``with``; None if absent."""
    found = tree.args.get(f"{name}_")
    return tree.args.get(name) if found is None else found


def parameter(tree: exp.Expr) -> int | None:
    """Return the number of the parameter that this is, None for anything else."""
    if isinstance(tree, exp.Placeholder) and tree.name.startswith(PARAMETER):
        return int(tree.name.removeprefix(PARAMETER))
    return None

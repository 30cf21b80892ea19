"""From a plan to what it wants of each table: what the planner filters, joins, sorts and groups by.

A plan shows what views and functions turned into, and what the planner made of the statement; and it is there where
the statement's text cannot be read. Names of columns stand behind their table's alias (VERBOSE).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbtune.index.candidates import tagged
from dbtune.index.candidates.access import Access, Direction, Operand, Order, Term, Test
from dbtune.index.candidates.conditions import Conditions
from dbtune.index.candidates.dialect import parsed_expression
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.statement import Reading
from dbtune.plan.predicate import terms
from dbtune.plan.tree import Node, Plan
from dbtune.snapshot.value import Table
from dbtune.workload.lexer import Kind, tokens

_ON_TABLES = ("Filter", "Index Cond", "Recheck Cond")
_ON_JOINS = ("Join Filter", "Hash Cond", "Merge Cond")
_KEYS = ("Sort Key", "Group Key")
_PASSING = frozenset({"Gather", "Gather Merge", "Result", "Incremental Sort", "Sort", "LockRows", "Unique", "Append"})
_APPENDS = frozenset({"Append", "Merge Append"})
_SUBPLAN = re.compile(
    r"\((?:(?:rescan )?(?:hashed )?(?:SubPlan|InitPlan) [0-9]+)\)(?:\.col[0-9]+)?|\(alternatives: [^)]*\)"
)
_EXISTS_PLAN = re.compile(r"\bEXISTS\s*\((?:hashed )?SubPlan [0-9]+\)")
_GIVEN = f"{tagged.SUBQUERY}()"
_NUMBERED = re.compile(r"_[0-9]+\Z")
_DIRECTION = re.compile(r"(?P<key>.*?)(?P<desc> DESC)?(?: NULLS (?P<nulls>FIRST|LAST))?\Z", re.DOTALL)


def read(plan: Plan, schema: Schema, *, constant: bool = False) -> Reading:
    """Return what the plan wants of each table.

    ``constant``: the statement has no parameters, so that the constants in the plan are those of every call.
    """
    reader = _Reader(plan, schema, constant)
    reader.read()
    return reader.reading


class _Reader:
    def __init__(self, plan: Plan, schema: Schema, constant: bool) -> None:
        self.reading = Reading()
        self._plan = plan
        self._schema = schema
        self._conditions = Conditions(schema, self.reading.accesses, constant=constant)
        self._aliases: dict[str, Access] = {}
        self._of_nodes: dict[int, Access] = {}

    def read(self) -> None:
        for node in self._plan.nodes:
            if node.relation is not None and ("Scan" in node.node_type or node.node_type == "ModifyTable"):
                self._occurrence(node)
        for node in self._plan.nodes:
            own = self._of_nodes.get(node.number)
            for key in (*_ON_TABLES, *_ON_JOINS):
                condition = node.raw.get(key)
                if isinstance(condition, str) and node.node_type != "Bitmap Index Scan":
                    self._condition(condition, own)
            self._order(node)
        self._need()
        self._changes()
        for access in self.reading.accesses.values():
            access.terms[:] = dict.fromkeys(access.terms)
            access.alternatives[:] = dict.fromkeys(access.alternatives)

    def _occurrence(self, node: Node) -> None:
        name = str(node.raw.get("Relation Name"))
        table = self._schema.find(node.raw.get("Schema"), name)
        if not isinstance(table, Table):
            if not self._schema.is_system(node.raw.get("Schema"), name):
                self.reading.missing.append(node.relation or name)
            return
        alias = node.alias or name
        group = alias
        if table.partition_bound is not None:  # all partitions are one occurrence of their parent
            table = self._schema.homes(table)[0]
            if any(above.node_type in _APPENDS for above in self._plan.ancestors(node)):
                group = _NUMBERED.sub("", alias)
        access = self._aliases.get(group)
        if access is None or access.table is not table:
            access = Access(len(self.reading.accesses), table, group)
            self.reading.accesses[access.number] = access
            self._aliases[group] = access
        self._aliases.setdefault(alias, access)
        self._of_nodes[node.number] = access

    def _condition(self, condition: str, own: Access | None) -> None:
        for term in terms(condition):
            tree = self._parsed(term.text, own)
            if tree is not None:
                self._conditions.add(tree)
            elif own is not None and term.indexable and term.column is not None:
                column = self._schema.column(own.table, term.column)
                if column is not None:
                    operand = Operand(column.name, (column.name,), True, self._schema.type_of(column))
                    own.terms.append(Term(operand=operand, test=Test.EQUAL if term.is_equality else Test.RANGE))

    def _parsed(self, text: str, own: Access | None) -> exp.Expr | None:
        """Return the expression with its columns tagged, None where it cannot be read."""
        plain = _SUBPLAN.sub(_GIVEN, _EXISTS_PLAN.sub(_GIVEN, text))
        try:
            tree = parsed_expression(plain)
        except SqlglotError:
            return None
        holder = exp.Paren(this=tree)
        for column in list(holder.find_all(exp.Column)):
            if isinstance(column.this, exp.Star):
                column.replace(tagged.elsewhere("*"))
                continue
            name = _name(column.this)
            access = self._aliases.get(_name(column.args.get("table"))) if column.args.get("table") else own
            known = access is not None and self._schema.column(access.table, name) is not None
            column.replace(tagged.column(name, access.number) if known and access is not None else tagged.elsewhere())
        return holder.this  # type: ignore[no-any-return]

    def _order(self, node: Node) -> None:
        for what in _KEYS:
            keys = node.raw.get(what)
            if not isinstance(keys, Sequence) or isinstance(keys, str):
                continue
            number: int | None = None
            directions: list[Direction] = []
            for key in keys:
                match = _DIRECTION.match(str(key))
                tree = self._parsed(match["key"], self._below(node)) if match is not None else None
                found = self._conditions.operand(tree) if tree is not None else None
                if match is None or found is None or number not in (None, found[0]):
                    break
                number, operand = found
                descending = match["desc"] is not None
                nulls_first = match["nulls"] == "FIRST" if match["nulls"] else descending
                if all(operand != each.operand for each in directions):
                    directions.append(Direction(operand, descending, nulls_first))
            if number is not None and directions:
                what_for = "GROUP BY" if what == "Group Key" else "ORDER BY"
                order = Order(tuple(directions), what_for, what == "Sort Key" and self._is_limited(node))
                if order not in self.reading.accesses[number].orders:
                    self.reading.accesses[number].orders.append(order)

    def _below(self, node: Node) -> Access | None:
        """Return the only table that the node's rows come from; its columns may stand without a qualifier."""
        found = {a.number: a for n in self._plan.subtree(node) if (a := self._of_nodes.get(n.number)) is not None}
        return next(iter(found.values())) if len(found) == 1 else None

    def _is_limited(self, node: Node) -> bool:
        for above in self._plan.ancestors(node):
            if above.node_type == "Limit":
                return True
            if above.node_type not in _PASSING:
                return False
        return False

    def _need(self) -> None:
        """Find which columns the nodes above a scan read: a sequential scan itself hands on all that it has."""
        if all("Output" not in node.raw for node in self._plan.nodes):
            for each in self.reading.accesses.values():
                each.needed = None
            return
        for node in self._plan.nodes:
            own = self._of_nodes.get(node.number)
            texts = [str(node.raw[key]) for key in (*_ON_TABLES, *_ON_JOINS) if key in node.raw]
            texts += [str(key) for what in _KEYS for key in _listed(node.raw.get(what))]
            if own is None or node.parent is None:
                texts += [str(each) for each in _listed(node.raw.get("Output"))]
            for text in texts:
                for qualifier, name in _columns(text):
                    access = self._aliases.get(qualifier) if qualifier else own or self._below(node)
                    if access is not None:
                        self._need_column(access, name)

    def _need_column(self, access: Access, name: str) -> None:
        if name == "*":
            for column in access.table.columns:
                access.need(column.name)
        elif self._schema.column(access.table, name) is not None:
            access.need(name)

    def _changes(self) -> None:
        for node in self._plan.nodes:
            if node.node_type == "ModifyTable" and node.number in self._of_nodes:
                self._of_nodes[node.number].changed = True
            if node.node_type == "LockRows":
                for below in self._plan.subtree(node):
                    if below.number in self._of_nodes:
                        self._of_nodes[below.number].changed = True


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _columns(text: str) -> Iterator[tuple[str, str]]:
    """Yield qualifier and name of what may be columns in an expression; the qualifier is empty where there is none."""
    pieces = [t for t in tokens(text) if t.kind is not Kind.SPACE]
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        if piece.kind not in (Kind.WORD, Kind.QUOTED):
            at += 1
            continue
        if at + 2 < len(pieces) and pieces[at + 1].text == ".":
            last = pieces[at + 2]
            yield _plain(piece.text), "*" if last.text == "*" else _plain(last.text)
            at += 3
        else:
            yield "", _plain(piece.text)
            at += 1


def _plain(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def _name(identifier: object) -> str:
    if not isinstance(identifier, exp.Identifier):
        return ""
    return str(identifier.this) if identifier.args.get("quoted") else str(identifier.this).lower()

"""From a statement's text to what it wants of each table: names resolved, subqueries, CTEs and views looked through.

Conditions reach a table through whatever lets them pass to it in the planner as well: simple subqueries, the grouping
columns of aggregates, the arms of UNION, CTEs that are used once. They do not pass LIMIT or window functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from dbtune.index.candidates import tagged
from dbtune.index.candidates.access import Access, Direction, Order
from dbtune.index.candidates.conditions import Conditions, conjuncts, row
from dbtune.index.candidates.dialect import parsed, part
from dbtune.index.candidates.expression import function_name, unwrapped
from dbtune.index.candidates.schema import Schema, View
from dbtune.snapshot.value import Table

AGGREGATES = frozenset(
    """any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg
    json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc range_agg
    range_intersect_agg regr_slope stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
    xmlagg""".split()
)
_CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_DEEPEST = 50


class Unreadable(ValueError):
    """The statement is of a kind in which there is nothing to be found."""


@dataclass(slots=True)
class Reading:
    """What a statement wants of tables, and what is worth telling of it. ``missing`` are tables that are not known."""

    accesses: dict[int, Access] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Output:
    """A column that a query gives. ``make`` resolves it, and so remembers that its columns are needed.

    ``passes``: a condition on it is a condition on what it is made of.
    """

    name: str
    make: Callable[[], exp.Expr]
    passes: bool = True
    made: exp.Expr | None = None

    def value(self) -> exp.Expr:
        """Return what the column is, tagged; nothing that an index is on, where conditions do not pass."""
        if self.made is None:
            self.made = self.make()
        return self.made.copy() if self.passes else tagged.elsewhere(self.name)


class _Source:
    """Something in FROM, by default of unknown columns."""

    def names(self) -> list[str] | None:
        """The names of its columns, None where they are not known."""
        return None

    def get(self, name: str) -> exp.Expr | None:
        """Return its column of that name, tagged; None if it has none such."""
        return tagged.elsewhere(name)


class _Known(_Source):
    def __init__(self, access: Access, schema: Schema, renamed: Sequence[str]) -> None:
        own = [column.name for column in access.table.columns]
        self._access = access
        self._own = dict(zip([*renamed, *own[len(renamed) :]], own, strict=False))

    def names(self) -> list[str]:
        return list(self._own)

    def get(self, name: str) -> exp.Expr | None:
        own = self._own.get(name)
        if own is None:
            return tagged.elsewhere(name) if name in _SYSTEM_COLUMNS else None
        self._access.need(own)
        return tagged.column(own, self._access.number)


_SYSTEM_COLUMNS = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})


class _Derived(_Source):
    def __init__(self, outputs: Sequence[_Output], renamed: Sequence[str]) -> None:
        names = [*renamed, *(output.name for output in outputs[len(renamed) :])]
        self._outputs: dict[str, _Output] = {}
        for name, output in zip(names, outputs, strict=False):
            self._outputs.setdefault(name, output)

    def names(self) -> list[str]:
        return list(self._outputs)

    def get(self, name: str) -> exp.Expr | None:
        output = self._outputs.get(name)
        return None if output is None else output.value()


class _Unknown(_Source):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def names(self) -> list[str] | None:
        return self._names or None


@dataclass(slots=True)
class _Scope:
    """The names that a query sees: its own sources, its CTEs, and those around it."""

    parent: _Scope | None = None
    sources: dict[str, _Source] = field(default_factory=dict)
    ctes: dict[str, Sequence[_Output] | None] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)

    def without_sources(self) -> _Scope:
        """Return what a CTE or a subquery in FROM sees: not its neighbours there."""
        return _Scope(self.parent, {}, self.ctes)

    def as_it_is(self) -> _Scope:
        """Return what LATERAL sees: its neighbours to the left."""
        return _Scope(self.parent, dict(self.sources), self.ctes, self.own)

    def chain(self) -> Iterator[_Scope]:
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def cte(self, name: str) -> tuple[bool, Sequence[_Output] | None]:
        """Return whether that is a CTE, and its outputs where they are known."""
        for scope in self.chain():
            if name in scope.ctes:
                return True, scope.ctes[name]
        return False, None


def read(
    statement: str, schema: Schema, *, values: Mapping[int, tuple[str, ...]] | None = None, constant: bool = True
) -> Reading:
    """Return what the statement wants of each table. ``values`` are known values of its parameters by number.

    ``constant``: the constants in its text are the same in every call.

    :raises SqlglotError: the statement cannot be read.
    :raises Unreadable: it is none that reads or changes rows.
    """
    tree = parsed(statement)
    if not isinstance(tree, (exp.Query, exp.Values, *_CHANGES)):
        raise Unreadable("it is no statement that reads or changes rows")
    reader = _Reader(schema, tree, values or {}, constant)
    reader.statement(tree, None)
    reader.conditions.close()
    return reader.reading


class _Reader:
    def __init__(self, schema: Schema, tree: exp.Expr, values: Mapping[int, tuple[str, ...]], constant: bool) -> None:
        self.reading = Reading()
        self.conditions = Conditions(
            schema, self.reading.accesses, values=values, constant=constant, notes=self.reading.notes
        )
        self._schema = schema
        self._uses: dict[str, int] = {}
        self._unions: list[list[_Source]] = []
        self._depth = 0
        for table in tree.find_all(exp.Table):
            if not table.db:
                self._uses[_name(table.this)] = self._uses.get(_name(table.this), 0) + 1

    def statement(self, tree: exp.Expr, parent: _Scope | None) -> list[_Output]:
        """Read a whole statement, or one in a CTE; return the columns that it gives."""
        if isinstance(tree, exp.Insert):
            return self._insert(tree, parent)
        if isinstance(tree, exp.Update):
            return self._update(tree, parent)
        if isinstance(tree, exp.Delete):
            return self._delete(tree, parent)
        if isinstance(tree, exp.Merge):
            return self._merge(tree, parent)
        outputs = self._query(tree, parent)
        if parent is None:
            _use(outputs)
        return outputs

    # statements that change rows

    def _insert(self, tree: exp.Insert, parent: _Scope | None) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        query = tree.expression
        if isinstance(query, exp.Query):
            _use(self._query(query, scope))
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if isinstance(target, exp.Table):
            self._known_or_missing(target)
        return _returned(tree)

    def _update(self, tree: exp.Update, parent: _Scope | None) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        conditions = self._target(tree.this, scope)
        start = part(tree, "from")
        if start is not None:
            conditions += self._source(start.this, scope) + self._joins(start.this, scope)
        conditions += self._joins(tree, scope)
        for assignment in tree.expressions:
            if isinstance(assignment, exp.EQ):
                self._resolved(assignment.expression, scope)
        self._where(tree, scope, conditions)
        return _returned(tree)

    def _delete(self, tree: exp.Delete, parent: _Scope | None) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        conditions = self._target(tree.this, scope)
        using = tree.args.get("using") or []
        for source in using if isinstance(using, list) else [using]:  # a list since sqlglot 28
            conditions += self._source(source, scope) + self._joins(source, scope)
        self._where(tree, scope, conditions)
        return _returned(tree)

    def _merge(self, tree: exp.Merge, parent: _Scope | None) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        conditions = self._target(tree.this, scope)
        conditions += self._source(tree.args["using"], scope)
        if tree.args.get("on") is not None:
            conditions.append(tree.args["on"])
        self._apply(conditions, scope)
        for when in tree.find_all(exp.When):
            for column in when.find_all(exp.Column):
                self._column(column, scope)
        return _returned(tree)

    def _target(self, tree: exp.Expr, scope: _Scope) -> list[exp.Expr]:
        if not isinstance(tree, exp.Table):
            raise Unreadable("its text cannot be read: which table it changes")
        before = set(scope.own)
        conditions = self._source(tree, scope)
        for number in scope.own - before:
            self.reading.accesses[number].changed = True
        return conditions + self._joins(tree, scope)

    # queries

    def _query(
        self, tree: exp.Expr, parent: _Scope | None, *, limited: bool = False, semi: bool = False
    ) -> list[_Output]:
        """Read a SELECT, UNION or VALUES; return the columns that it gives.

        ``limited``: only its first rows are wanted. ``semi``: what it asks of the tables around it is asked of them
        as by a join.
        """
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError
        try:
            if isinstance(tree, exp.Subquery):
                return self._parenthesised(tree, parent, limited=limited, semi=semi)
            if isinstance(tree, exp.SetOperation):
                return self._set_operation(tree, parent)
            if isinstance(tree, exp.Select):
                return self._select(tree, parent, limited=limited, semi=semi)
            if isinstance(tree, exp.Values):
                width = max((len(row(each) or [each]) for each in tree.expressions), default=0)
                return [_Output(f"column{n}", tagged.elsewhere) for n in range(1, width + 1)]
            return []
        finally:
            self._depth -= 1

    def _parenthesised(self, tree: exp.Subquery, parent: _Scope | None, *, limited: bool, semi: bool) -> list[_Output]:
        scope = parent
        if part(tree, "with") is not None:
            scope = _Scope(parent)
            self._ctes(tree, scope)
        cut = _is_limited(tree)
        outputs = self._query(tree.this, scope, limited=limited or cut, semi=semi)
        return [_Output(o.name, o.value, passes=False) for o in outputs] if cut else outputs

    def _set_operation(self, tree: exp.SetOperation, parent: _Scope | None) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        arms = [self._query(each, scope) for each in (tree.this, tree.expression)]
        if tree.args.get("distinct") or not isinstance(tree, exp.Union):
            for arm in arms:
                _use(arm)
        names = [output.name for output in arms[0]]
        number = len(self._unions)
        self._unions.append([_Derived(arm, names) for arm in arms])

        def output(name: str) -> exp.Expr:
            for source in self._unions[number]:
                source.get(name)
            return tagged.union_column(name, number)

        passes = not _is_limited(tree)
        return [_Output(name, lambda name=name: output(name), passes) for name in names]  # type: ignore[misc]

    def _select(self, tree: exp.Select, parent: _Scope | None, *, limited: bool, semi: bool) -> list[_Output]:
        scope = _Scope(parent)
        self._ctes(tree, scope)
        conditions: list[exp.Expr] = []
        start = part(tree, "from")
        if start is not None:
            conditions += self._source(start.this, scope) + self._joins(start.this, scope)
        conditions += self._joins(tree, scope)
        for lateral in tree.args.get("laterals") or []:
            conditions += self._source(lateral, scope)
        self._where(tree, scope, conditions, everywhere=semi or parent is None)
        aliases = {_name(each.args["alias"]): each.this for each in tree.expressions if isinstance(each, exp.Alias)}
        grouped = self._group(tree, scope, aliases)
        aggregates = any(_aggregates(each) for each in tree.expressions) or tree.args.get("having") is not None
        having = tree.args.get("having")
        if having is not None:
            plain = [each for each in conjuncts(having.this) if not _aggregates(each)]
            self._apply(plain, scope)
            for each in conjuncts(having.this):
                self._resolved(each, scope)
        cut = limited or _is_limited(tree)
        if tree.args.get("locks"):
            for number in scope.own:
                self.reading.accesses[number].changed = True
        outputs = self._outputs(tree, scope, grouped if aggregates or grouped is not None else None, aggregates)
        self._orders(tree, scope, aliases, outputs, cut)
        if not tree.args.get("group"):
            self._extremes(tree, scope)
        if tree.args.get("distinct") is not None:
            _use(outputs)
        if _is_limited(tree):
            outputs = [_Output(o.name, o.value, passes=False) for o in outputs]
        return outputs

    def _outputs(
        self, tree: exp.Select, scope: _Scope, grouped: Sequence[str] | None, aggregates: bool
    ) -> list[_Output]:
        windows = any(True for each in tree.expressions for _ in each.find_all(exp.Window))
        outputs: list[_Output] = []
        for projection in tree.expressions:
            bare = projection.unalias()
            if isinstance(bare, exp.Star) or (isinstance(bare, exp.Column) and isinstance(bare.this, exp.Star)):
                of = _name(bare.args.get("table")) if isinstance(bare, exp.Column) else None
                outputs += self._expanded(scope, of, passes=not (windows or aggregates or grouped is not None))
                continue
            passes = not windows and not aggregates
            if grouped is not None:
                passes = not windows and bare.sql() in grouped
            name = _name(projection.args.get("alias")) or _default_name(bare)
            outputs.append(_Output(name, lambda bare=bare: self._resolved(bare, scope), passes))  # type: ignore[misc]
        return outputs

    def _expanded(self, scope: _Scope, of: str | None, *, passes: bool) -> list[_Output]:
        found = []
        for holder in scope.chain():
            for alias, source in holder.sources.items():
                if of is None or alias == of:
                    for name in source.names() or []:
                        made = lambda source=source, name=name: source.get(name) or tagged.elsewhere(name)  # noqa: E731
                        found.append(_Output(name, made, passes))
            if of is None or found:
                break
        return found

    def _group(self, tree: exp.Select, scope: _Scope, aliases: Mapping[str, exp.Expr]) -> list[str] | None:
        """Read GROUP BY; return what stands there as text, None where there is none."""
        group = tree.args.get("group")
        if group is None:
            return None
        keys = [self._meant(each, tree, scope, aliases, aliases_first=False) for each in group.expressions]
        sets = [each for name in ("grouping_sets", "rollup", "cube") for each in group.args.get(name) or []]
        for each in sets:
            self._resolved(each, scope)
        self._order([(key, False, False) for key in keys], scope, "GROUP BY", limited=False)
        return [] if sets else [key.sql() for key in keys]

    def _meant(
        self, key: exp.Expr, tree: exp.Select, scope: _Scope, aliases: Mapping[str, exp.Expr], *, aliases_first: bool
    ) -> exp.Expr:
        """Return what a key of GROUP BY or ORDER BY means: a position, the name of a result, or an expression."""
        key = unwrapped(key)
        if isinstance(key, exp.Literal) and not key.is_string and str(key.this).isdigit():
            at = int(str(key.this)) - 1
            return tree.expressions[at].unalias() if 0 <= at < len(tree.expressions) else key
        if isinstance(key, exp.Column) and not key.table:
            name = _name(key.this)
            if name in aliases and (aliases_first or not self._has(scope, name)):
                return aliases[name]
        return key

    def _has(self, scope: _Scope, name: str) -> bool:
        return any(name in (source.names() or []) for source in scope.sources.values())

    def _orders(
        self,
        tree: exp.Select,
        scope: _Scope,
        aliases: Mapping[str, exp.Expr],
        outputs: Sequence[_Output],
        limited: bool,
    ) -> None:
        order = tree.args.get("order")
        distinct = tree.args.get("distinct")
        on = distinct.args.get("on") if distinct is not None else None
        if order is not None:
            keys = []
            for each in order.expressions:
                bare = each.this if isinstance(each, exp.Ordered) else each
                meant = self._meant(bare, tree, scope, aliases, aliases_first=True)
                keys.append((meant, bool(each.args.get("desc")), bool(each.args.get("nulls_first"))))
            self._order(keys, scope, "ORDER BY", limited=limited or on is not None)
        elif on is not None:
            self._order([(key, False, False) for key in row(on) or [on]], scope, "DISTINCT ON", limited=True)
        if distinct is not None and on is None:
            self._order_of_values([o.value() for o in outputs if o.passes], "DISTINCT")
        windows = [w for each in tree.expressions for w in each.find_all(exp.Window)]
        for window in [*windows, *(tree.args.get("windows") or [])]:
            keys = [(key, False, False) for key in window.args.get("partition_by") or []]
            ordered = window.args.get("order")
            for each in ordered.expressions if ordered is not None else []:
                if isinstance(each, exp.Ordered):
                    keys.append((each.this, bool(each.args.get("desc")), bool(each.args.get("nulls_first"))))
            self._order(keys, scope, "window", limited=False)

    def _order(self, keys: Sequence[tuple[exp.Expr, bool, bool]], scope: _Scope, what: str, *, limited: bool) -> None:
        """Remember an order for the table of its first keys, as far as they are of one table."""
        number: int | None = None
        directions: list[Direction] = []
        for tree, descending, nulls_first in keys:
            found = self.conditions.operand(self._resolved(tree, scope))
            if found is None or number not in (None, found[0]):
                break
            number, operand = found
            if all(operand != each.operand for each in directions):
                directions.append(Direction(operand, descending, nulls_first))
        for tree, _, _ in keys[len(directions) :]:
            self._resolved(tree, scope)
        if number is not None and directions:
            self.reading.accesses[number].orders.append(Order(tuple(directions), what, limited))

    def _order_of_values(self, values: Sequence[exp.Expr], what: str) -> None:
        number: int | None = None
        directions: list[Direction] = []
        for value in values:
            found = self.conditions.operand(value)
            if found is None or number not in (None, found[0]):
                return
            number, operand = found
            if all(operand != each.operand for each in directions):
                directions.append(Direction(operand))
        if number is not None:
            self.reading.accesses[number].orders.append(Order(tuple(directions), what))

    def _extremes(self, tree: exp.Select, scope: _Scope) -> None:
        for projection in tree.expressions:
            call = unwrapped(projection.unalias())
            if isinstance(call, exp.Anonymous) and function_name(call) in ("min", "max") and len(call.expressions) == 1:
                found = self.conditions.operand(self._resolved(call.expressions[0], scope))
                if found is not None:
                    self.reading.accesses[found[0]].extremes.append(found[1])

    # FROM

    def _ctes(self, tree: exp.Expr, scope: _Scope) -> None:
        found = part(tree, "with")
        if found is None:
            return
        for cte in found.expressions:
            name = _name(cte.args["alias"].this)
            renamed = [_name(column) for column in cte.args["alias"].args.get("columns") or []]
            recursive = bool(found.args.get("recursive")) and any(
                _name(table.this) == name and not table.db for table in cte.this.find_all(exp.Table)
            )
            if recursive:
                scope.ctes[name] = None
            outputs = self.statement(cte.this, scope.without_sources())
            outputs = [_Output(new, o.value, o.passes) for new, o in zip(renamed, outputs, strict=False)] + outputs[
                len(renamed) :
            ]
            inlined = self._uses.get(name, 0) <= 1 or cte.args.get("materialized") is False
            if recursive or not inlined or cte.args.get("materialized") is True or isinstance(cte.this, _CHANGES):
                _use(outputs)
                outputs = [_Output(o.name, o.value, passes=False) for o in outputs]
            scope.ctes[name] = outputs

    def _joins(self, tree: exp.Expr, scope: _Scope) -> list[exp.Expr]:
        conditions: list[exp.Expr] = []
        for join in tree.args.get("joins") or []:
            left = list(scope.sources.values())
            conditions += self._source(join.this, scope) + self._joins(join.this, scope)
            right = [source for source in scope.sources.values() if source not in left]
            if join.args.get("on") is not None:
                conditions.append(join.args["on"])
            names = [_name(each) for each in join.args.get("using") or []]
            if join.args.get("method") == "NATURAL":
                known = {name for source in left for name in source.names() or []}
                names = [name for source in right for name in source.names() or [] if name in known]
            for name in names:
                one = next((s.get(name) for s in left if name in (s.names() or [])), None)
                other = next((s.get(name) for s in right if name in (s.names() or [])), None)
                if one is not None and other is not None:
                    conditions.append(exp.EQ(this=one, expression=other))
        return conditions

    def _source(self, tree: exp.Expr, scope: _Scope) -> list[exp.Expr]:
        """Add what stands in FROM to the scope's sources; return the conditions of joins in parentheses."""
        alias = _name(tree.args["alias"].this) if tree.args.get("alias") is not None else ""
        renamed = [_name(c) for c in tree.args["alias"].args.get("columns") or []] if tree.args.get("alias") else []
        around = scope.without_sources()
        if isinstance(tree, exp.Lateral):
            tree = tree.this
            around = scope.as_it_is()
        if isinstance(tree, exp.Paren):
            return self._source(tree.this, scope)
        if isinstance(tree, exp.Table):
            if isinstance(tree.this, exp.Identifier):
                self._table(tree, alias, renamed, scope)
            else:  # a function
                for argument in tree.this.find_all(exp.Column) if isinstance(tree.this, exp.Expr) else []:
                    self._column(argument, scope)
                name = alias or _default_name(tree.this)
                scope.sources[name] = _Unknown(renamed or ([alias] if alias else []))
            return []
        if isinstance(tree, exp.Subquery):
            if isinstance(tree.this, exp.Table | exp.Subquery | exp.Paren) and not isinstance(tree.this, exp.Query):
                return self._source(tree.this, scope) + self._joins(tree.this, scope) + self._joins(tree, scope)
            outputs = self._query(tree, around, semi=True)
            scope.sources[alias or f"?{len(scope.sources)}"] = _Derived(outputs, renamed)
            return self._joins(tree, scope)
        if isinstance(tree, exp.Values):
            scope.sources[alias or f"?{len(scope.sources)}"] = _Derived(self._query(tree, scope), renamed)
            return []
        for argument in tree.find_all(exp.Column):
            self._column(argument, scope)
        scope.sources[alias or f"?{len(scope.sources)}"] = _Unknown(renamed or ([alias] if alias else []))
        return []

    def _table(self, tree: exp.Table, alias: str, renamed: Sequence[str], scope: _Scope) -> None:
        name = _name(tree.this)
        key = alias or name
        if not tree.db:
            is_cte, outputs = scope.cte(name)
            if is_cte:
                scope.sources[key] = _Unknown(renamed) if outputs is None else _Derived(outputs, renamed)
                return
        found = self._known_or_missing(tree)
        if isinstance(found, View):
            outputs = self._query(found.query.copy(), None)
            scope.sources[key] = _Derived(outputs, [*renamed, *found.columns[len(renamed) :]])
        elif isinstance(found, Table):
            number = len(self.reading.accesses)
            access = Access(number, found, key)
            self.reading.accesses[number] = access
            scope.own.add(number)
            if key in scope.sources:  # two tables of one name, told apart by their schemas
                key = f"{_name(tree.args.get('db'))}.{key}"
            scope.sources[key] = _Known(access, self._schema, renamed)
        else:
            scope.sources[key] = _Unknown(renamed)

    def _known_or_missing(self, tree: exp.Table) -> Table | View | None:
        schema, name = _name(tree.args.get("db")), _name(tree.this)
        found = self._schema.find(schema, name)
        if found is None and not self._schema.is_system(schema, name):
            self.reading.missing.append(f"{schema}.{name}" if schema else name)
        return found

    # conditions and names

    def _where(self, tree: exp.Expr, scope: _Scope, conditions: Sequence[exp.Expr], *, everywhere: bool = True) -> None:
        where = tree.args.get("where")
        self._apply([*conditions, *([where.this] if where is not None else [])], scope, everywhere=everywhere)

    def _apply(self, conditions: Sequence[exp.Expr], scope: _Scope, *, everywhere: bool = True) -> None:
        for condition in conditions:
            for each in conjuncts(condition):
                resolved = self._resolved(each, scope, is_condition=True)
                self._add(resolved, None if everywhere else self._inside(scope, resolved), 0)

    def _inside(self, scope: _Scope, condition: exp.Expr) -> set[int]:
        """Return the occurrences in the condition that are not of the queries around this one."""
        outside = {number for holder in scope.chain() if holder is not scope for number in holder.own}
        return set(tagged.owners(condition)) - outside

    def _add(self, condition: exp.Expr, among: set[int] | None, depth: int) -> None:
        """Give the condition to the tables, one on a UNION's column to each of its arms."""
        union = next((u for c in tagged.columns(condition) if (u := tagged.union(c)) is not None), None)
        if union is None:
            self.conditions.add(condition, among)
            return
        if depth > _DEEPEST:
            return
        for source in self._unions[union]:
            holder = exp.Paren(this=condition.copy())
            for column in list(tagged.columns(holder)):
                if tagged.union(column) == union:
                    column.replace(_as_operand(source.get(column.name) or tagged.elsewhere(column.name)))
            self._add(holder.this, None, depth + 1)

    def _resolved(self, tree: exp.Expr, scope: _Scope, *, is_condition: bool = False) -> exp.Expr:
        """Return a copy with columns tagged and subqueries read; what a subquery gives stands in its place."""
        holder = exp.Paren(this=tree.copy())
        waiting: list[exp.Expr] = [holder.this]
        while waiting:
            node = waiting.pop()
            if isinstance(node, exp.Column):
                if not tagged.is_tagged(node):
                    node.replace(_as_operand(self._column(node, scope)))
            elif isinstance(node, exp.Exists):
                self._query(node.this, scope, semi=True)
                node.replace(exp.Boolean(this=True))
            elif isinstance(node, exp.In) and node.args.get("query") is not None:
                positive = is_condition and node is unwrapped(holder.this)
                replaced = self._in_query(node, scope, positive=positive)
                node.replace(replaced)
                waiting += [replaced]
            elif isinstance(node, exp.Any) and isinstance(unwrapped(node.this), exp.Query):
                outputs = self._query(unwrapped(node.this), scope, semi=True)
                _use(outputs)
                node.replace(_as_operand(outputs[0].value()) if len(outputs) == 1 else tagged.elsewhere())
            elif isinstance(node, exp.Query):
                node.replace(self._scalar(node, scope))
            else:
                waiting += reversed(list(node.iter_expressions()))
        return holder.this  # type: ignore[no-any-return]

    def _in_query(self, node: exp.In, scope: _Scope, *, positive: bool) -> exp.Expr:
        """Return IN (SELECT …) as the equality that a join would have."""
        outputs = self._query(node.args["query"], scope, semi=True)
        _use(outputs)
        left = row(node.this) or [node.this]
        if not positive or len(left) != len(outputs):
            return exp.Tuple(expressions=[each.copy() for each in left])
        values = [_as_operand(output.value()) for output in outputs]
        equal = [exp.EQ(this=a.copy(), expression=b) for a, b in zip(left, values, strict=True)]
        joined: exp.Expr = equal[0]
        for each in equal[1:]:
            joined = exp.And(this=joined, expression=each)
        return joined

    def _scalar(self, node: exp.Expr, scope: _Scope) -> exp.Expr:
        """Read a subquery that gives a value; return what stands for it, with the outer columns that it looks at."""
        before = set(self.reading.accesses)
        outputs = self._query(node, scope)
        _use(outputs)
        correlated = sorted(
            partner
            for number, access in self.reading.accesses.items()
            if number not in before
            for term in access.terms
            for partner in term.partners
            if partner in before
        )
        columns = [tagged.column("?", number) for number in dict.fromkeys(correlated)]
        return exp.Anonymous(this=tagged.SUBQUERY, expressions=columns)

    def _column(self, column: exp.Column, scope: _Scope) -> exp.Expr:
        """Return what a column's name means, tagged."""
        if isinstance(column.this, exp.Star):
            for output in self._expanded(scope, _name(column.args.get("table")) or None, passes=False):
                output.value()
            return tagged.elsewhere("*")
        name, of = _name(column.this), _name(column.args.get("table"))
        schema = _name(column.args.get("db"))
        for holder in scope.chain():
            if of:
                source = holder.sources.get(f"{schema}.{of}") or holder.sources.get(of)
                if source is not None:
                    return source.get(name) or tagged.elsewhere(name)
                continue
            unknown = False
            for source in holder.sources.values():
                names = source.names()
                if names is None:
                    unknown = True
                elif name in names:
                    return source.get(name) or tagged.elsewhere(name)
            if name in holder.sources:  # the whole row
                source = holder.sources[name]
                for each in source.names() or []:
                    source.get(each)
                return tagged.elsewhere(name)
            if unknown:
                break
        return tagged.elsewhere(name)


def _use(outputs: Sequence[_Output]) -> None:
    """Have all columns be needed."""
    for output in outputs:
        output.value()


def _returned(tree: exp.Expr) -> list[_Output]:
    """Return the columns of RETURNING, on which no condition passes."""
    returning = tree.args.get("returning")
    if returning is None:
        return []
    return [
        _Output(each.alias_or_name or "?", tagged.elsewhere, passes=False)
        for each in returning.expressions
        if not isinstance(each, exp.Star)
    ]


def _is_limited(tree: exp.Expr) -> bool:
    limit = tree.args.get("limit")
    if limit is None:
        return False
    return not (isinstance(limit, exp.Limit) and limit.expression is not None and limit.expression.name == "ALL")


def _aggregates(tree: exp.Expr) -> bool:
    """Return whether the expression is computed from many rows, other than by a window."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Query):
            continue
        if isinstance(node, exp.Window):
            waiting += list(node.this.iter_expressions())
            continue
        if isinstance(node, exp.Filter | exp.WithinGroup | exp.AggFunc):
            return True
        if isinstance(node, exp.Anonymous) and function_name(node) in AGGREGATES:
            return True
        waiting += list(node.iter_expressions())
    return False


def _as_operand(tree: exp.Expr) -> exp.Expr:
    return tree if isinstance(tree, exp.Column) else exp.Paren(this=tree)


def _default_name(tree: object) -> str:
    """Return the name that a result has which was given none."""
    if isinstance(tree, exp.Cast):
        return _default_name(tree.this)
    if isinstance(tree, exp.Column):
        return _name(tree.this)
    return function_name(tree) if isinstance(tree, exp.Anonymous) else "?column?"


def _name(identifier: object) -> str:
    """Return a name as the catalogs have it: in lower case unless quoted; empty for none."""
    if isinstance(identifier, exp.Identifier):
        return str(identifier.this) if identifier.args.get("quoted") else str(identifier.this).lower()
    return str(identifier).lower() if isinstance(identifier, str) else ""

"""From the conditions of a query, their columns tagged, to what each asks of which table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from dbtune.index.candidates import datatypes, tagged
from dbtune.index.candidates.access import LOOKED_UP, Access, Conjunction, Operand, Term, Test
from dbtune.index.candidates.dialect import kinds, parameter, rendered
from dbtune.index.candidates.expression import Expressions, function_name, literal, parameters, unwrapped
from dbtune.index.candidates.schema import Schema

MOST_ARMS = 20
"""An OR of more conditions than this is left alone, but for those of one column: an index for each is too many."""

_EQUALITIES = (exp.EQ,)
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_PATTERNS = {exp.Like: "~~", exp.ILike: "~~*", exp.RegexpLike: "~", exp.RegexpILike: "~*", exp.SimilarTo: "~"}
_MEMBERS: dict[type, str] = {
    kind: symbol
    for name, symbol in {
        "ArrayContainsAll": "@>",
        "ArrayContainedBy": "<@",
        "ArrayOverlaps": "&&",
        "JSONBContainsTopKey": "?",
        "JSONBContains": "?",
        "JSONBContainsAnyTopKeys": "?|",
        "JSONBContainsAllTopKeys": "?&",
        "JSONBPathExists": "@?",
        "Adjacent": "-|-",
    }.items()
    for kind in kinds(name)
}
_COMMUTED = {"@>": "<@", "<@": "@>", "&&": "&&", "-|-": "-|-"}
_OPERATOR_CLASSES = {"=": exp.EQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE, "<>": exp.NEQ}
_TRIGRAM = re.compile(r"\w{3}")
_CONSTANT_START = re.compile(r"\^(?:\w|\\[.\-])")


class Conditions:
    """Sorts conditions to the accesses that they are about.

    ``values`` are the known values of parameters by number. ``constant``: constants in the text are the same in every
    call, so that a partial index may rest on them.
    """

    def __init__(
        self,
        schema: Schema,
        accesses: Mapping[int, Access],
        *,
        values: Mapping[int, tuple[str, ...]] | None = None,
        constant: bool = True,
        notes: list[str] | None = None,
    ) -> None:
        self._schema = schema
        self._accesses = accesses
        self._values = values or {}
        self._constant = constant
        self._expressions: dict[int, Expressions] = {}
        self._same: list[tuple[tuple[int, str], tuple[int, str]]] = []
        self.notes: list[str] = [] if notes is None else notes

    def expressions(self, number: int) -> Expressions:
        """Return the expressions over the table of an occurrence."""
        if number not in self._expressions:
            self._expressions[number] = Expressions(self._schema, self._accesses[number].table)
        return self._expressions[number]

    def add(self, condition: exp.Expr, among: Collection[int] | None = None) -> None:
        """Give each table its part of the condition: every table, or those ``among`` which are told."""
        for conjunct in conjuncts(condition):
            if isinstance(conjunct, exp.Or):
                self._add_or(conjunct, among)
                continue
            for number, term in self.terms(conjunct):
                if among is None or number in among:
                    self._accesses[number].terms.append(term)

    def close(self) -> None:
        """Give columns the values of those that they are equal to, as the planner does."""
        classes: dict[tuple[int, str], set[tuple[int, str]]] = {}
        for one, other in self._same:
            joined = classes.get(one, {one}) | classes.get(other, {other})
            for member in joined:
                classes[member] = joined
        fixed = {
            (access.number, term.operand.text): term
            for access in self._accesses.values()
            for term in access.terms
            if term.test is Test.EQUAL and term.operand.is_column and not term.partners
        }
        for member, members in classes.items():
            source = next((fixed[other] for other in sorted(members) if other in fixed), None)
            if source is not None and member not in fixed:
                access = self._accesses[member[0]]
                column = self._schema.column(access.table, member[1])
                assert column is not None
                operand = Operand(column.name, (column.name,), True, self._schema.type_of(column))
                access.terms.append(Term(operand=operand, test=Test.EQUAL, values=source.values))

    def operand(self, tree: exp.Expr, *, noted: bool = False) -> tuple[int, Operand] | None:
        """Return the expression as a key of an index on the only table that it is about, None if there is no such.

        ``noted``: that no index can hold it is told.
        """
        numbers = tagged.owners(tree)
        if len(numbers) != 1 or tagged.ELSEWHERE in numbers:
            return None
        (number,) = numbers
        placed, bound = self._with_values(tree)
        operand = self.expressions(number).operand(placed, bound=bound)
        if operand is None and noted:
            self._note_volatile(placed, number)
        return None if operand is None else (number, operand)

    def terms(self, condition: exp.Expr) -> list[tuple[int, Term]]:
        """Return what one condition, no AND or OR, asks of each table that it is about."""
        condition = unwrapped(condition)
        negated = False
        while isinstance(condition, exp.Not):
            negated = not negated
            condition = unwrapped(condition.this)
        if condition.args.get("negate"):
            negated = not negated
        if isinstance(condition, exp.Escape):
            return self._pattern(condition.this, negated)
        if isinstance(condition, exp.Operator):
            symbol = str(condition.args.get("operator") or "").rpartition(".")[2]
            made = _OPERATOR_CLASSES.get(symbol)
            return [] if made is None else self.terms(made(this=condition.this, expression=condition.expression))
        if negated:
            return self._negation(condition)
        if isinstance(condition, _EQUALITIES):
            return self._equality(condition)
        if isinstance(condition, _COMPARISONS):
            return self._range(condition)
        if isinstance(condition, exp.In):
            return self._membership(condition)
        if isinstance(condition, exp.Between):
            return self._one_sided(condition.this, Test.RANGE, [condition.args["low"], condition.args["high"]])
        if isinstance(condition, tuple(_PATTERNS)):
            return self._pattern(condition, negated=False)
        if isinstance(condition, exp.Is):
            return self._is(condition)
        if isinstance(condition, exp.NEQ):
            return self._negation(exp.EQ(this=condition.this, expression=condition.expression))
        return self._others(condition)

    def _equality(self, condition: exp.Expr) -> list[tuple[int, Term]]:
        left, right = row(condition.this), row(condition.expression)
        if left is not None and right is not None and len(left) == len(right) > 1:
            pairs = zip(left, right, strict=True)
            return [term for a, b in pairs for term in self._equality(exp.EQ(this=a, expression=b))]
        found = [
            *self._compared(condition, condition.this, condition.expression, Test.EQUAL),
            *self._compared(condition, condition.expression, condition.this, Test.EQUAL),
        ]
        columns = [unwrapped(side) for side in (condition.this, condition.expression)]
        if all(isinstance(c, exp.Column) and tagged.number(c) >= 0 for c in columns) and len(found) == 2:
            one, other = ((tagged.number(c), c.name) for c in columns if isinstance(c, exp.Column))
            self._same.append((one, other))
        return found

    def _range(self, condition: exp.Expr) -> list[tuple[int, Term]]:
        left, right = row(condition.this), row(condition.expression)
        if left is not None and right is not None and len(left) == len(right) > 1:
            return self._row_range(left, right) or self._row_range(right, left)
        return [
            *self._compared(condition, condition.this, condition.expression, Test.RANGE),
            *self._compared(condition, condition.expression, condition.this, Test.RANGE),
        ]

    def _row_range(self, row: Sequence[exp.Expr], values: Sequence[exp.Expr]) -> list[tuple[int, Term]]:
        found = [self.operand(each) if tagged.owners(each) else None for each in row]
        operands = [each for each in found if each is not None]
        if len(operands) != len(row) or len({number for number, _ in operands}) != 1:
            return []
        number, first = operands[0]
        if any(number in tagged.owners(value) for value in values):
            return []
        rest = tuple(operand for _, operand in operands[1:])
        partners = frozenset[int]().union(*map(tagged.owners, values))
        return [(number, Term(operand=first, test=Test.RANGE, partners=partners, row=rest))]

    def _membership(self, condition: exp.In) -> list[tuple[int, Term]]:
        members = list(condition.expressions)
        rows = [row(member) for member in members]
        left = row(condition.this)
        if left is not None and len(left) > 1 and all(r is not None and len(r) == len(left) for r in rows):
            found = []
            for at, tested in enumerate(left):
                found += self._one_sided(tested, Test.EQUAL, [r[at] for r in rows if r is not None])
            return found
        return self._one_sided(condition.this, Test.EQUAL, members, condition=condition)

    def _compared(self, condition: exp.Expr, tested: exp.Expr, value: exp.Expr, test: Test) -> list[tuple[int, Term]]:
        value = unwrapped(value)
        numbers = tagged.owners(tested)
        if isinstance(value, exp.Any):
            value = unwrapped(value.this)
        elif isinstance(value, exp.Anonymous) and function_name(value) in ("some", "all") and value.expressions:
            if function_name(value) == "all":
                return []
            value = unwrapped(value.expressions[0])
        tested = unwrapped(tested)
        if isinstance(tested, exp.Any):
            self._note_any(tested)
            return []
        if not numbers or numbers & tagged.owners(value):
            return []
        return self._one_sided(tested, test, [value], condition=condition)

    def _one_sided(
        self, tested: exp.Expr, test: Test, against: Sequence[exp.Expr], *, condition: exp.Expr | None = None
    ) -> list[tuple[int, Term]]:
        """Return the term of the only table that ``tested`` is about, where nothing it is compared with is of it."""
        partners = frozenset[int]().union(*map(tagged.owners, against))
        found = self.operand(tested, noted=True)
        if found is None or found[0] in partners:
            return []
        number, operand = found
        predicate = None
        if condition is not None and test is Test.EQUAL:
            predicate = self._predicate(condition, number)
        values = self._known([v for each in against for v in members(each)])
        term = Term(
            operand=operand,
            test=test,
            partners=partners,
            predicate=predicate,
            values=values,
            parameter=_parameter(against[0]) if len(against) == 1 else None,
        )
        return [(number, term)]

    def _predicate(self, condition: exp.Expr, number: int) -> str | None:
        """Return the condition as a partial index can have it, None where it holds more than constants."""
        if not self._constant or tagged.owners(condition) != {number} or any(parameters(condition)):
            return None
        expressions = self.expressions(number)
        plain = expressions.simplified(condition)
        if any(isinstance(n, exp.Any) for n in plain.walk()) or not expressions.is_immutable(_without_lists(plain)):
            return None
        return expressions.text(plain)

    def _is(self, condition: exp.Is) -> list[tuple[int, Term]]:
        found = self.operand(condition.this)
        if found is None:
            return []
        number, operand = found
        asked = unwrapped(condition.expression)
        constant = self._rests_on_no_value(condition, number)
        if isinstance(asked, exp.Not) and isinstance(unwrapped(asked.this), exp.Null):
            return [(number, Term(operand=operand, test=Test.OTHER, operator="IS NOT NULL", predicate=constant))]
        if isinstance(asked, exp.Null):
            if self._never_null(number, operand):
                return []
            return [(number, Term(operand=operand, test=Test.NULL, operator="IS NULL", predicate=constant))]
        if isinstance(asked, exp.Boolean):
            return [(number, _boolean(operand, constant, bool(asked.this)))]
        return []

    def _never_null(self, number: int, operand: Operand) -> bool:
        column = self._schema.column(self._accesses[number].table, operand.text) if operand.is_column else None
        return column is not None and column.not_null

    def _rests_on_no_value(self, condition: exp.Expr, number: int) -> str | None:
        """Return a condition such as IS NULL as a partial index can have it, whatever constants the text has."""
        if any(parameters(condition)):
            return None
        expressions = self.expressions(number)
        return expressions.text(expressions.simplified(condition))

    def _negation(self, condition: exp.Expr) -> list[tuple[int, Term]]:
        """Return what NOT of the condition asks: no look-up, but perhaps something for a partial index."""
        if isinstance(condition, exp.Is):
            found = self.operand(condition.this)
            if found is None or not isinstance(unwrapped(condition.expression), exp.Null):
                return []
            number, operand = found
            asked = exp.Is(this=condition.this.copy(), expression=exp.Not(this=exp.Null()))
            kept = self.expressions(number).text(asked)
            return [(number, Term(operand=operand, test=Test.OTHER, operator="IS NOT NULL", predicate=kept))]
        if isinstance(condition, exp.Column):
            found = self.operand(condition)
            if found is None:
                return []
            number, operand = found
            predicate = self._rests_on_no_value(exp.Not(this=condition.copy()), number)
            return [(number, _boolean(operand, predicate, truth=False))]
        if isinstance(condition, exp.EQ | exp.In):
            positive = self._equality(condition) if isinstance(condition, exp.EQ) else self._membership(condition)
            found_terms = []
            for number, term in positive:
                if term.partners or term.predicate is None:
                    continue
                negative = (
                    exp.NEQ(this=condition.this.copy(), expression=condition.expression.copy())
                    if isinstance(condition, exp.EQ)
                    else exp.Not(this=condition.copy())
                )
                predicate = self._predicate(negative, number)
                found_terms.append(
                    (number, replace(term, test=Test.OTHER, operator="<>", predicate=predicate, keeps_rest=True))
                )
            return found_terms
        if isinstance(condition, exp.NEQ):
            return self._equality(exp.EQ(this=condition.this, expression=condition.expression))
        if isinstance(condition, exp.Or):
            return [term for arm in disjuncts(condition) for term in self.terms(exp.Not(this=arm.copy()))]
        return []

    def _pattern(self, condition: exp.Expr, negated: bool) -> list[tuple[int, Term]]:
        found = self.operand(condition.this)
        if found is None or negated:
            return []
        number, operand = found
        against = condition.expression
        if number in tagged.owners(against):
            return []
        partners = tagged.owners(against)
        inner = unwrapped(against)
        several = isinstance(inner, exp.Any)
        if several:
            inner = unwrapped(inner.this)
        symbol = next(s for kind, s in _PATTERNS.items() if isinstance(condition, kind))
        known = self._known(members(inner))
        if isinstance(condition, exp.SimilarTo):
            known = tuple(value.replace("%", ".*") for value in known)
        prefix, inside = _pattern_tests(symbol, known)
        terms = []
        if prefix and not several:
            terms.append(Term(operand=operand, test=Test.PREFIX, operator=symbol, partners=partners, values=known))
        if inside:
            terms.append(Term(operand=operand, test=Test.PATTERN, operator=symbol, partners=partners, values=known))
        if not terms:
            self.notes.append(f"{operand.text} {symbol} {known[0]!r}: too short for trigrams, no index serves it")
        return [(number, term) for term in terms]

    def _others(self, condition: exp.Expr) -> list[tuple[int, Term]]:
        match condition:
            case exp.Column():
                found = self.operand(condition)
                if found is None or found[1].type != "boolean":
                    return []
                return [(found[0], _boolean(found[1], self._rests_on_no_value(condition, found[0]), truth=True))]
            case exp.StartsWith():
                return self._one_sided(condition.this, Test.PREFIX, [condition.expression])
            case exp.MatchAgainst():
                return self._member("@@", condition.expressions[0], condition.this)
            case exp.Mod():
                return self._similar(condition)
            case exp.Anonymous():
                if function_name(condition) == "starts_with" and len(condition.expressions) == 2:
                    return self._one_sided(condition.expressions[0], Test.PREFIX, condition.expressions[1:])
        for kind, symbol in _MEMBERS.items():
            if isinstance(condition, kind):
                return self._member(symbol, condition.this, condition.expression)
        return []

    def _member(self, symbol: str, left: exp.Expr, right: exp.Expr) -> list[tuple[int, Term]]:
        found = []
        for tested, value, operator in ((left, right, symbol), (right, left, _COMMUTED.get(symbol, symbol))):
            if tested is right and symbol not in (*_COMMUTED, "@@"):
                continue
            if not tagged.owners(tested) or tagged.owners(tested) & tagged.owners(value):
                continue
            for number, term in self._one_sided(tested, Test.MEMBER, [value]):
                found.append((number, replace(term, operator=operator)))
        return found

    def _similar(self, condition: exp.Mod) -> list[tuple[int, Term]]:
        """``text % 'text'`` of pg_trgm; of numbers it is no condition."""
        found = self._one_sided(condition.this, Test.PATTERN, [condition.expression])
        return [(n, replace(term, operator="%")) for n, term in found if datatypes.is_text(term.operand.type)]

    def _add_or(self, condition: exp.Expr, among: Collection[int] | None) -> None:
        arms = [conjuncts(arm) for arm in disjuncts(condition)]
        texts = [{rendered(each) for each in arm} for arm in arms]
        common = set.intersection(*texts) if texts else set()
        for each in arms[0] if arms else []:
            if rendered(each) in common:
                self.add(each, among)
        rest = [[each for each in arm if rendered(each) not in common] for arm in arms]
        if not rest or not all(rest):
            return
        by_arm: list[dict[int, list[Term]]] = []
        for arm in rest:
            sorted_out: dict[int, list[Term]] = {}
            for each in arm:
                for number, term in [] if isinstance(each, exp.Or) else self.terms(each):
                    if term.test in LOOKED_UP:
                        sorted_out.setdefault(number, []).append(term)
            by_arm.append(sorted_out)
        served = sorted(set.intersection(*(set(each) for each in by_arm)))
        for number in served:
            if among is None or number in among:
                self._add_arms(self._accesses[number], [tuple(each[number]) for each in by_arm])
        if not served:
            self._note_unserved(rest, by_arm)

    def _add_arms(self, access: Access, arms: list[Conjunction]) -> None:
        singles = [arm[0] for arm in arms if len(arm) == 1]
        operands = {term.operand for term in singles}
        plain = all(term.test is Test.EQUAL and not term.partners for term in singles)
        if len(singles) == len(arms) and len(operands) == 1 and plain:  # the planner takes it for IN
            values = tuple(dict.fromkeys(value for term in singles for value in term.values))
            access.terms.append(Term(operand=singles[0].operand, test=Test.EQUAL, values=values))
        elif len(arms) <= MOST_ARMS:
            access.alternatives.append(tuple(arms))

    def _known(self, against: Iterable[exp.Expr]) -> tuple[str, ...]:
        """Return the values that the expressions are known to have, in text format."""
        found: dict[str, None] = {}
        for each in against:
            bare = unwrapped(each)
            while isinstance(bare, exp.Cast):
                bare = unwrapped(bare.this)
            if (number := parameter(bare)) is not None:
                found.update(dict.fromkeys(self._values.get(number, ())))
            elif (value := literal(bare)) is not None:
                found.setdefault(value)
        return tuple(found)

    def _with_values(self, tree: exp.Expr) -> tuple[exp.Expr, bool]:
        """Return the tree with parameters replaced by their value, where every captured set has the same."""
        if not parameters(tree):
            return tree, False
        holder = exp.Paren(this=tree.copy())
        for each in list(holder.find_all(exp.Placeholder)):
            number = parameter(each)
            known = self._values.get(number, ()) if number is not None else ()
            if len(known) == 1:
                is_number = known[0].isdigit() and not isinstance(each.parent, exp.JSONExtractScalar | exp.JSONExtract)
                each.replace(exp.Literal(this=known[0], is_string=not is_number))
        return holder.this, not parameters(holder)

    def _note_volatile(self, tree: exp.Expr, number: int) -> None:
        tree = unwrapped(tree)
        if isinstance(tree, exp.Column) or parameters(tree):
            return
        if any(isinstance(n, exp.Anonymous) and function_name(n) == tagged.SUBQUERY for n in tree.walk()):
            return
        text = self.expressions(number).text(tree)
        self.notes.append(
            f"{text} depends on the session's settings or is not known to be IMMUTABLE: no index can hold it"
        )

    def _note_any(self, tested: exp.Any) -> None:
        inner = unwrapped(tested.this)
        for number in sorted(tagged.owners(inner) - {tagged.ELSEWHERE}):
            text = self.expressions(number).text(inner)
            self.notes.append(f"value = ANY ({text}) is served by no index: write {text} @> ARRAY[value]")

    def _note_unserved(self, arms: Sequence[Sequence[exp.Expr]], found: Sequence[Mapping[int, object]]) -> None:
        numbers = sorted(frozenset[int]().union(*(tagged.owners(each) for arm in arms for each in arm)))
        tables = sorted({self._accesses[n].table.name for n in numbers if n in self._accesses})
        if len(tables) > 1 and any(found):
            self.notes.append(
                f"OR across the tables {', '.join(tables)}: no index serves it as written; a UNION of its arms could"
            )


def conjuncts(tree: exp.Expr) -> list[exp.Expr]:
    """Return the conditions that AND joins, in order."""
    return _flat(tree, exp.And)


def disjuncts(tree: exp.Expr) -> list[exp.Expr]:
    """Return the conditions that OR joins, in order."""
    return _flat(tree, exp.Or)


def _flat(tree: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    waiting = [tree]
    while waiting:
        each = unwrapped(waiting.pop())
        if isinstance(each, kind):
            waiting += [each.expression, each.this]
        else:
            found.append(each)
    return found


def row(tree: exp.Expr) -> list[exp.Expr] | None:
    """Return the members of a row such as ``(a, b)``, None for anything else."""
    tree = unwrapped(tree)
    if isinstance(tree, exp.Tuple) or (isinstance(tree, exp.Anonymous) and function_name(tree) == "row"):
        return list(tree.expressions)
    return None


def members(tree: exp.Expr) -> list[exp.Expr]:
    """Return the members of a list or array constant, or the value alone."""
    tree = unwrapped(tree)
    while isinstance(tree, exp.Cast) and not isinstance(unwrapped(tree.this), exp.Literal):
        tree = unwrapped(tree.this)
    return list(tree.expressions) if isinstance(tree, exp.Array | exp.Tuple) else [tree]


def _parameter(tree: exp.Expr) -> int | None:
    """Return the number of the parameter that the tree is, whatever its cast."""
    tree = unwrapped(tree)
    while isinstance(tree, exp.Cast):
        tree = unwrapped(tree.this)
    return parameter(tree)


def _boolean(operand: Operand, predicate: str | None, truth: bool) -> Term:
    return Term(operand=operand, test=Test.EQUAL, predicate=predicate, values=("t" if truth else "f",))


def _without_lists(tree: exp.Expr) -> exp.Expr:
    """Return the tree without the node of IN, whose members alone matter."""
    if isinstance(tree, exp.Not):
        return exp.Paren(this=_without_lists(unwrapped(tree.this)))
    if isinstance(tree, exp.In):
        return exp.Tuple(expressions=[tree.this.copy(), *(e.copy() for e in tree.expressions)])
    return tree


def _pattern_tests(symbol: str, known: Sequence[str]) -> tuple[bool, bool]:
    """Return whether the patterns may begin with a constant, and whether trigrams may find them."""
    if not known:
        return symbol == "~~", True
    if symbol == "~~":
        prefix = all(value and value[0] not in "%_" for value in known)
    elif symbol == "~":
        prefix = all(_CONSTANT_START.match(value) for value in known)
    else:
        prefix = False
    only_prefix = symbol == "~~" and prefix and all("%" not in v.rstrip("%") and "_" not in v for v in known)
    return prefix, not only_prefix and any(_TRIGRAM.search(value) for value in known)

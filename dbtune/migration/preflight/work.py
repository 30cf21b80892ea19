"""What a revision does to indexes, read from the SQL that it sends; nothing here asks a server.

A revision of dbtune's says most of it inside of DO blocks, which are taken apart into their statements. In any other
one the statements are found as they stand; what else it does is counted and not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dbtune.errors import UsageError
from dbtune.migration import statement as statements
from dbtune.migration.definition import Definition
from dbtune.migration.name import quoted
from dbtune.migration.preflight.offline import Printed
from dbtune.migration.statement import Relation
from dbtune.workload import lexer
from dbtune.workload.lexer import Kind, Token

_ASIDE = "dbtune_drop_"
_OURS = ("dbtune.lock", _ASIDE)
_TEMPORARY = "pg_temp"
_IGNORED = frozenset({"BEGIN", "COMMIT", "SET", "RESET", "ROLLBACK", "START"})


class Does(StrEnum):
    """What is done to an index."""

    CREATE = "create"
    DROP = "drop"
    CONSTRAINT = "constraint"
    """A constraint over an index that is there."""

    OTHER = "other"
    """REINDEX, a constraint that builds its own index, or what could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing that a revision does to an index.

    ``table`` and ``index`` are as the statement names them; None where it does not. ``definition`` is what is built,
    or what must be there to be dropped, None where the text does not tell. ``statement`` is on one line. ``parent``
    stands for a partitioned table's index with all those of its partitions, ``constraint`` for one that is made with
    the constraint of its name.
    """

    does: Does
    statement: str
    table: Relation | None = None
    index: Relation | None = None
    definition: Definition | None = None
    concurrently: bool = False
    guarded: bool = False
    parent: bool = False
    constraint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A revision and what it does. ``ours``: it looks before it acts, as those that dbtune writes do.

    ``others`` counts the statements that are about no index; ``creates`` are the tables among them. ``why`` tells why
    there may be more, which only a run can tell.
    """

    revision: str
    title: str
    works: tuple[Work, ...] = ()
    others: int = 0
    creates: tuple[Relation, ...] = ()
    ours: bool = False
    why: str | None = None


def task(printed: Printed, title: str) -> Task:
    """Return what a revision does."""
    ours = any(mark in each for each in printed.statements for mark in _OURS)
    works: list[Work] = []
    wanted: list[Definition] = []
    attached: set[Relation] = set()
    creates: list[Relation] = []
    others = 0
    for each in _flat(printed.statements):
        words = _words(each)
        match [t.text.upper() if t.kind is Kind.WORD else t.text for t in words[:6]]:
            case ["CREATE", "UNIQUE", "INDEX", *_] | ["CREATE", "INDEX", *_]:
                made = _create(each, words)
                if made.table is not None and made.table.schema == _TEMPORARY:
                    wanted += [made.definition] if made.definition is not None else []
                else:
                    works.append(made)
            case ["DROP", "INDEX", *_]:
                works += _drops(each, words)
            case ["ALTER", "INDEX", *_]:
                renamed, part = _altered(words)
                works += [renamed] if renamed is not None else []
                attached |= {part} if part is not None else set()
                others += renamed is None and part is None
            case ["ALTER", "TABLE", *_] if _has(words, "UNIQUE") or _has(words, "PRIMARY", "KEY"):
                works.append(_constraint(each, words, ours=ours))
            case ["REINDEX", *_]:
                works.append(Work(does=Does.OTHER, statement=_line(words), concurrently=_has(words, "CONCURRENTLY")))
            case ["CREATE", "TABLE" | "TEMPORARY" | "UNLOGGED", *_]:
                creates += _table(words)
                others += 1
            case [first, *_] if first not in _IGNORED:
                others += 1
    return Task(
        revision=printed.revision,
        title=title,
        works=tuple(_settled(works, wanted, attached, ours=ours)),
        others=0 if ours else others,
        creates=tuple(creates),
        ours=ours,
        why=printed.why,
    )


def _settled(
    works: Sequence[Work], wanted: Sequence[Definition], attached: set[Relation], *, ours: bool
) -> Iterator[Work]:
    """Yield each work once, with what DO blocks tell of it; those on partitions go with their parent's."""
    created = {_key(each.index) for each in works if each.does is Does.CREATE}
    by_name = {each.name: each for each in wanted}
    seen: set[tuple[Does, str | None]] = set()
    for each in works:
        if each.index is not None and each.index.name.startswith(_ASIDE):
            continue  # what was set aside is dropped: a leftover, or what a rename told of
        if ours and each.does is Does.DROP and _key(each.index) in created:
            continue  # a leftover of the very index is set aside
        if each.index is not None and (each.index in attached or (each.does, each.index.name) in seen):
            continue
        seen.add((each.does, _key(each.index)))
        definition = each.definition or by_name.get(each.index.name if each.index is not None else "")
        yield replace(each, definition=_on(definition, each) if definition is not None else None)


def _on(definition: Definition, work: Work) -> Definition:
    """Return a definition that was read of a temporary copy, on the table's schema as the index names it."""
    if definition.schema != _TEMPORARY or work.index is None:
        return definition
    return definition.on(work.index.schema or statements.DEFAULT_SCHEMA, definition.index.table, definition.name)


def _key(index: Relation | None) -> str | None:
    return index.name if index is not None else None


def _flat(printed: Sequence[str]) -> Iterator[str]:
    """Yield the statements, of a DO block those in it."""
    for each in printed:
        words = _words(each)
        if words and words[0].text.upper() == "DO":
            body = next((t.text for t in words if t.kind is Kind.STRING and t.text.startswith("$")), "")
            tag = body[: body.index("$", 1) + 1] if body else ""
            yield from list(_inside(body[len(tag) : -len(tag)] if tag else "")) or [each]
        else:
            yield each


def _inside(body: str) -> Iterator[str]:
    """Yield the index statements within PL/pgSQL: each begins behind a THEN, LOOP or BEGIN, and ends at its ;."""
    for piece in lexer.statements(body):
        words = _words(piece)
        for at, word in enumerate(words):
            after = words[at + 1].text.upper() if at + 1 < len(words) else ""
            if (word.kind, word.text.upper()) == (Kind.WORD, "CREATE") and after in ("INDEX", "UNIQUE"):
                break
            if (word.kind, word.text.upper(), after) in _STARTS:
                break
        else:
            continue
        yield piece[words[at].start :]


_STARTS = frozenset({(Kind.WORD, "DROP", "INDEX"), (Kind.WORD, "ALTER", "INDEX"), (Kind.WORD, "ALTER", "TABLE")})


def _create(text: str, words: Sequence[Token]) -> Work:
    only = next((t for t, before in zip(words[1:], words, strict=False) if _is(before, "ON") and _is(t, "ONLY")), None)
    whole = text if only is None else text[: only.start] + text[only.start + len(only.text) :]
    found = _parsed(whole)
    work = Work(
        does=Does.CREATE,
        statement=_line(words),
        concurrently=_has(words, "CONCURRENTLY"),
        guarded=_has(words, "IF", "NOT", "EXISTS"),
        parent=only is not None,
    )
    if not isinstance(found, statements.Create):
        return replace(work, does=Does.OTHER)
    schema = found.table.schema
    return replace(work, table=found.table, index=Relation(schema, found.definition.name), definition=found.definition)


def _drops(text: str, words: Sequence[Token]) -> list[Work]:
    concurrently, guarded = _has(words, "CONCURRENTLY"), _has(words, "IF", "EXISTS")
    work = Work(does=Does.DROP, statement=_line(words), concurrently=concurrently, guarded=guarded)
    found = _parsed(text)
    if not isinstance(found, statements.Drop):
        return [replace(work, does=Does.OTHER)]
    return [replace(work, index=found.index)]


def _altered(words: Sequence[Token]) -> tuple[Work | None, Relation | None]:
    """Return the drop that ALTER INDEX … RENAME TO dbtune_drop_… begins, or the index that ATTACH PARTITION names."""
    text = " ".join(t.text for t in words[2:])
    if found := re.fullmatch(r"(.+) RENAME TO (\S+)", text, re.I):
        if not found[2].startswith(_ASIDE):
            return None, None
        index = statements.parse_name(found[1])
        line = f"DROP INDEX CONCURRENTLY {named(index)}"
        return Work(does=Does.DROP, statement=line, index=index, concurrently=True), None
    if found := re.fullmatch(r".+ ATTACH PARTITION (.+)", text, re.I):
        return None, statements.parse_name(found[1])
    return None, None


def _constraint(text: str, words: Sequence[Token], *, ours: bool) -> Work:
    """Return ALTER TABLE … ADD … USING INDEX name, or one that builds its index under a lock that stops all others.

    In a revision of dbtune's the latter is of ONLY a partitioned table, and builds none: the partitions' come later.
    """
    tail = [t.text for t in words]
    upper = [each.upper() for each in tail]
    work = Work(does=Does.OTHER, statement=_line(words))
    at = upper.index("ADD") if "ADD" in upper else len(upper)
    start = 2 + 2 * (upper[2:4] == ["IF", "EXISTS"])
    start += upper[start : start + 1] == ["ONLY"]
    try:
        table = statements.parse_name("".join(tail[start:at]))
        if "USING" in upper and upper[upper.index("USING") + 1 :][:1] == ["INDEX"]:
            index = statements.parse_name(tail[upper.index("USING") + 2])
            own = Relation(table.schema, index.name)
            return replace(work, does=Does.CONSTRAINT, table=table, index=own)
    except (UsageError, IndexError):
        return work
    found = _parsed(text)
    if not isinstance(found, statements.Constraint):
        return replace(work, table=table)
    work = replace(work, table=table, index=Relation(table.schema, found.definition.name))
    if not ours:
        return work
    definition = found.definition.on(table.schema or statements.DEFAULT_SCHEMA, table.name, found.definition.name)
    return replace(work, does=Does.CREATE, definition=definition, parent=True, constraint=True)


def _table(words: Sequence[Token]) -> list[Relation]:
    """Return the table that CREATE TABLE makes, where it can be read."""
    upper = [t.text.upper() for t in words]
    at = upper.index("TABLE") + 1 if "TABLE" in upper else len(words)
    at += 3 * (upper[at : at + 3] == ["IF", "NOT", "EXISTS"])
    end = next((n for n in range(at, len(words)) if words[n].text == "(" or upper[n] in ("AS", "PARTITION")), at)
    try:
        return [statements.parse_name("".join(t.text for t in words[at:end]))]
    except UsageError:
        return []


def _parsed(text: str) -> statements.Statement | None:
    try:
        return statements.parse(text)
    except UsageError:
        return None


def _words(text: str) -> list[Token]:
    return [t for t in lexer.tokens(text) if t.kind not in (Kind.SPACE, Kind.COMMENT)]


def _is(token: Token, word: str) -> bool:
    return token.kind is Kind.WORD and token.text.upper() == word


def _has(words: Sequence[Token], *wanted: str) -> bool:
    size = len(wanted)
    return any(all(map(_is, words[at : at + size], wanted)) for at in range(len(words) - size + 1))


def _line(words: Sequence[Token]) -> str:
    """Return a statement on one line, its words apart as they stand, without comments."""
    text = ""
    end: int | None = None
    for token in words:
        text += (" " if end is not None and token.start > end else "") + token.text
        end = token.start + len(token.text)
    return text


def named(relation: Relation) -> str:
    """Return a name as SQL."""
    return quoted(relation.name) if relation.schema is None else f"{quoted(relation.schema)}.{quoted(relation.name)}"

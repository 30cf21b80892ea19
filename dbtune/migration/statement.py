"""CREATE INDEX, DROP INDEX and ADD CONSTRAINT … UNIQUE as people write them, read into values.

The grammar is PostgreSQL's (manual, CREATE INDEX). What types and collations an expression has is the server's to say;
a text is only taken apart here, and nothing of it is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.errors import UsageError
from dbtune.index.definition import Index, Key
from dbtune.migration.definition import Definition
from dbtune.migration.name import checked
from dbtune.workload import lexer
from dbtune.workload.lexer import Kind, Token

DEFAULT_SCHEMA = "public"

_OPENING, _CLOSING = "([", ")]"
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or index that a statement names; ``schema`` None where it names none."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE INDEX. The definition's schema is ``public`` where the statement names none."""

    definition: Definition
    table: Relation


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP INDEX."""

    index: Relation


@dataclass(frozen=True, slots=True)
class Constraint:
    """ALTER TABLE … ADD CONSTRAINT … UNIQUE; the definition is that of its index, with the constraint's name."""

    definition: Definition
    table: Relation


Statement = Create | Drop | Constraint


def parse(text: str) -> Statement:
    """Return the one statement in ``text``; CONCURRENTLY and IF NOT EXISTS go without saying, and are left out.

    :raises UsageError: it is not one of these statements, or more than one, or it names something for too long.
    """
    try:
        statements = lexer.statements(text)
    except lexer.Unterminated as error:
        raise UsageError(f"not a statement: {error}") from None
    if not statements:
        raise UsageError("no statement: write CREATE INDEX … ON table (column)")
    if len(statements) > 1:
        raise UsageError(f"{len(statements)} statements: one index is one revision, give each by itself")
    return _Reader(statements[0]).statement()


def parse_definition(text: str) -> Definition:
    """Return the index that a CREATE INDEX makes, such as the server's own pg_get_indexdef() prints.

    :raises UsageError: as :func:`parse`, or it is another statement.
    """
    found = parse(text)
    if not isinstance(found, Create):
        raise UsageError(f"not CREATE INDEX: {_short(text)}")
    return found.definition


def parse_name(text: str) -> Relation:
    """Return the table or index that ``text`` names, as SQL, with its schema or without.

    :raises UsageError: it is no name.
    """
    try:
        reader = _Reader(text)
    except lexer.Unterminated as error:
        raise UsageError(f"not a name: {error}") from None
    found = reader.relation("a name")
    reader.ends()
    return found


class _Reader:
    """One statement's words, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [t for t in lexer.tokens(text) if t.kind not in (Kind.SPACE, Kind.COMMENT)]
        self.at = 0

    def statement(self) -> Statement:
        if self.takes("CREATE"):
            unique = self.takes("UNIQUE")
            if self.takes("INDEX"):
                return self.create(unique)
        elif self.takes("DROP", "INDEX"):
            return self.drop()
        elif self.takes("ALTER", "TABLE"):
            return self.constraint()
        raise UsageError(f"not an index: {_short(self.text)}; write CREATE [UNIQUE] INDEX [name] ON table (column, …)")

    def create(self, unique: bool) -> Create:
        self.takes("CONCURRENTLY")
        guarded = self.takes("IF", "NOT", "EXISTS")
        name = None
        if not self.sees("ON"):
            name = checked(self.name("the index's name"))
        elif guarded:
            raise self.wrong("the index's name")
        self.wants("ON")
        if self.takes("ONLY"):
            raise UsageError("ON ONLY makes an index that no partition has, and no query can use: leave ONLY out")
        table = self.relation("the table's name")
        method = self.name("an index method") if self.takes("USING") else "btree"
        keys = tuple(_Reader(piece).key() for piece in self.list("the keys"))
        include: tuple[str, ...] = ()
        if self.takes("INCLUDE"):
            include = tuple(_Reader(piece).only_name("a column of INCLUDE") for piece in self.list("the columns"))
        nulls_distinct = self.nulls_distinct()
        storage: tuple[tuple[str, str | None], ...] = ()
        if self.takes("WITH"):
            storage = tuple(_Reader(piece).parameter() for piece in self.list("the storage parameters"))
        tablespace = self.name("a tablespace") if self.takes("TABLESPACE") else None
        predicate = self.rest("a condition") if self.takes("WHERE") else None
        self.ends()
        index = Index(
            schema=table.schema or DEFAULT_SCHEMA,
            table=table.name,
            keys=keys,
            include=include,
            predicate=predicate,
            method=method,
            unique=unique,
            name=name,
        )
        definition = Definition(index=index, storage=storage, tablespace=tablespace, nulls_distinct=nulls_distinct)
        return Create(definition.named(definition.name), table)

    def drop(self) -> Drop:
        self.takes("CONCURRENTLY")
        self.takes("IF", "EXISTS")
        index = self.relation("the index's name")
        if self.takes("CASCADE"):
            raise UsageError("DROP INDEX … CASCADE drops what depends on the index too: drop that by itself first")
        self.takes("RESTRICT")
        self.ends()
        return Drop(index)

    def constraint(self) -> Constraint:
        self.takes("IF", "EXISTS")
        self.takes("ONLY")
        table = self.relation("the table's name")
        if not self.takes("ADD"):
            raise UsageError(f"not an index: {_short(self.text)}; of ALTER TABLE only ADD CONSTRAINT name UNIQUE (…)")
        name = checked(self.name("the constraint's name")) if self.takes("CONSTRAINT") else None
        if not self.takes("UNIQUE"):
            raise UsageError(f"not a unique constraint: {_short(self.text)}")
        nulls_distinct = self.nulls_distinct()
        keys = tuple(Key(_Reader(piece).only_name("a column")) for piece in self.list("the columns"))
        include: tuple[str, ...] = ()
        if self.takes("INCLUDE"):
            include = tuple(_Reader(piece).only_name("a column of INCLUDE") for piece in self.list("the columns"))
        self.ends()
        index = Index(
            schema=table.schema or DEFAULT_SCHEMA,
            table=table.name,
            keys=keys,
            include=include,
            unique=True,
            name=name,
        )
        definition = Definition(index=index, nulls_distinct=nulls_distinct)
        return Constraint(definition.named(definition.name), table)

    def key(self) -> Key:
        """Read one key: a column, a call or an expression in parentheses, with what is said of it."""
        start = self.at
        is_column = False
        if self.takes_symbol("("):
            text = self.inside()
        else:
            column = self.name("a column")
            if self.sees_symbol("(") or self.sees_symbol("."):
                text = self.call(start)
            else:
                text, is_column = column, True
        collation = self.dotted("a collation") if self.takes("COLLATE") else None
        opclass = None
        if self.more() and not (self.sees("ASC") or self.sees("DESC") or self.sees("NULLS")):
            opclass = self.dotted("an operator class")
            if self.takes_symbol("("):
                opclass += f" ({self.inside()})"
        descending = self.takes("DESC")
        if not descending:
            self.takes("ASC")
        nulls_first = None
        if self.takes("NULLS"):
            nulls_first = self.takes("FIRST")
            if not nulls_first:
                self.wants("LAST")
            nulls_first = None if nulls_first == descending else nulls_first
        self.ends()
        return Key(text, is_column, descending, nulls_first, opclass, collation)

    def parameter(self) -> tuple[str, str | None]:
        """Read one storage parameter; its value stays as SQL."""
        name = self.dotted("a storage parameter")
        value = None
        if self.takes_symbol("="):
            value = self.rest("a value")
        self.ends()
        return name, value

    def nulls_distinct(self) -> bool:
        if not self.takes("NULLS"):
            return True
        distinct = not self.takes("NOT")
        self.wants("DISTINCT")
        return distinct

    def only_name(self, what: str) -> str:
        found = self.name(what)
        self.ends()
        return found

    def relation(self, what: str) -> Relation:
        first = self.name(what)
        if not self.takes_symbol("."):
            return Relation(None, checked(first))
        return Relation(checked(first), checked(self.name(what)))

    def dotted(self, what: str) -> str:
        """Read a name with its schemas and return it as it stands."""
        start = self.at
        self.name(what)
        while self.takes_symbol("."):
            self.name(what)
        return self.between(start, self.at)

    def name(self, what: str) -> str:
        """Read an identifier: folded to lower case unless it is quoted."""
        token = self.token()
        if token is not None and token.kind is Kind.WORD:
            self.at += 1
            return _folded(token.text)
        if token is not None and token.kind is Kind.QUOTED and token.text.startswith('"') and len(token.text) > 2:
            self.at += 1
            return token.text[1:-1].replace('""', '"')
        raise self.wrong(what)

    def list(self, what: str) -> list[str]:
        """Read a list in parentheses and return its members as they stand."""
        if not self.takes_symbol("("):
            raise self.wrong(f"( and {what}")
        pieces: list[str] = []
        while True:
            start = self.at
            depth = 0
            while (token := self.token()) is not None:
                if depth == 0 and token.text in (",", ")"):
                    break
                depth += (token.text in _OPENING) - (token.text in _CLOSING)
                self.at += 1
            if token is None or start == self.at:
                raise self.wrong(f"{what} and )")
            pieces.append(self.between(start, self.at))
            self.at += 1
            if token.text == ")":
                return pieces

    def inside(self) -> str:
        """Return what stands up to the parenthesis that closes the one just read."""
        start = self.at
        depth = 1
        while (token := self.token()) is not None:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            self.at += 1
            if depth == 0:
                if self.at - 1 == start:
                    break
                return self.between(start, self.at - 1)
        raise self.wrong("an expression and )")

    def call(self, start: int) -> str:
        """Return a function call, of which the name was begun at ``start``, as it stands."""
        while self.takes_symbol("."):
            self.name("a function")
        if not self.takes_symbol("("):
            raise self.wrong("( and a call's arguments; other expressions stand in parentheses")
        depth = 1
        while depth and (token := self.token()) is not None:
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            self.at += 1
        if depth:
            raise self.wrong(")")
        return self.between(start, self.at)

    def rest(self, what: str) -> str:
        if not self.more():
            raise self.wrong(what)
        start, self.at = self.at, len(self.tokens)
        return self.between(start, self.at)

    def between(self, start: int, end: int) -> str:
        """Return the text of the tokens from ``start`` up to ``end``, without comments at either side."""
        last = self.tokens[end - 1]
        return self.text[self.tokens[start].start : last.start + len(last.text)]

    def token(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def more(self) -> bool:
        return self.at < len(self.tokens)

    def sees(self, *words: str) -> bool:
        ahead = self.tokens[self.at : self.at + len(words)]
        return [t.text.upper() if t.kind is Kind.WORD else "" for t in ahead] == list(words)

    def takes(self, *words: str) -> bool:
        seen = self.sees(*words)
        self.at += len(words) if seen else 0
        return seen

    def wants(self, word: str) -> None:
        if not self.takes(word):
            raise self.wrong(word)

    def sees_symbol(self, symbol: str) -> bool:
        token = self.token()
        return token is not None and token.kind is Kind.SYMBOL and token.text == symbol

    def takes_symbol(self, symbol: str) -> bool:
        seen = self.sees_symbol(symbol)
        self.at += seen
        return seen

    def ends(self) -> None:
        if self.more():
            raise self.wrong("its end")

    def wrong(self, what: str) -> UsageError:
        token = self.token()
        where = f"at {_short(self.text[token.start :])}" if token is not None else "at the end"
        return UsageError(f"{where} of {_short(self.text)}: expected {what}")


def _folded(word: str) -> str:
    """Return a bare word as the server reads it: ASCII letters in lower case, others as they are (in UTF-8)."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in word)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"

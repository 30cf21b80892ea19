"""The arguments of a call that makes a pool, as far as the text around it tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dbtune.pool.fleet import Engine, Fact, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.sources import expression
from dbtune.pool.sources.expression import Known, Unknown
from dbtune.pool.sources.found import EngineCall, Note
from dbtune.pool.sources.module import Module, Place
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.url import Url, leading, milliseconds, url_of

Environment = Mapping[str, Fact[str]]

_CLASSES = {"NullPool": Kind.NULL_POOL, "StaticPool": Kind.STATIC_POOL, "AssertionPool": Kind.STATIC_POOL}


@dataclass(slots=True)
class Engines:
    """What was found: engines, the files of migrations, and what could not be told."""

    calls: list[EngineCall] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def note(self, source: str, text: str) -> None:
        """Tell something once."""
        note = Note(source=source, text=text)
        if note not in self.notes:
            self.notes.append(note)


@dataclass(slots=True)
class Reader:
    """Reads expressions at one place of one file."""

    project: Project
    environment: Environment
    module: Module
    place: Place
    found: Engines

    def at(self, node: ast.AST) -> str:
        """Return where a node is."""
        return f"{self.module.path}:{getattr(node, 'lineno', 1)}"

    def known(self, node: ast.expr | None) -> Known | None:
        """Return what an expression is worth, None where the text does not tell."""
        if node is None:
            return None
        try:
            return self.project.value(node, self.module, self.place, self.environment)
        except Unknown:
            return None

    def keywords(self, node: ast.Call) -> dict[str, ast.expr]:
        """Return the keyword arguments, those of ``**options`` too where they are written out."""
        options: dict[str, ast.expr] = {}
        for each in node.keywords:
            options |= {each.arg: each.value} if each.arg is not None else self.entries(each.value, node)
        return options

    def entries(self, node: ast.expr, whole: ast.AST, *, quietly: bool = False) -> dict[str, ast.expr]:
        """Return a dictionary's entries; where they are computed that is noted, unless ``quietly``."""
        try:
            return self.project.entries(node, self.module, self.place, self.environment)
        except Unknown as reason:
            if not quietly:
                self.found.note(self.at(whole), f"options are not all known: {reason}")
            return {}

    def number(self, node: ast.expr | None, name: str, whole: ast.AST) -> Fact[int] | None:
        """Return a whole number, None where it is not given, or not known, which is noted."""
        found = self.seconds(node, name, whole)
        return None if found is None else Fact(int(found.value), found.source)

    def seconds(self, node: ast.expr | None, name: str, whole: ast.AST) -> Fact[float] | None:
        """Return a number, None where it is not given, or not known, which is noted."""
        if node is None:
            return None
        try:
            known = self.project.value(node, self.module, self.place, self.environment)
        except Unknown as reason:
            self.found.note(self.at(whole), f"{name} is not known, its default is counted: {reason}")
            return None
        if known.value is None:
            return None
        number = expression.number(known.value)
        if number is None:
            self.found.note(self.at(whole), f"{name} is not a number, its default is counted")
            return None
        if known.by_cores and self.project.cores is None:
            self.found.note(self.at(whole), f"{name} depends on the cores, counted with 1: say --cores")
        return Fact(float(number), known.origin or self.at(node))

    def url(self, node: ast.expr | None) -> Url | None:
        """Return what a database URL says, None where it is not known."""
        if isinstance(node, ast.Call) and self.module.origin(node.func).endswith("URL.create"):
            known = self.known(node.args[0] if node.args else self.keywords(node).get("drivername"))
            return None if known is None else url_of(f"{known.value}://")
        known = self.known(node)
        if known is not None and isinstance(known.value, str):
            url = url_of(known.value)
            if url is not None and not url.is_postgresql and "default of" in (known.origin or "") and node is not None:
                text = (
                    f"counted, though its default URL is for {url.backend}: the environment is taken to name PostgreSQL"
                )
                self.found.note(self.at(node), text)
                return None
            return url
        return leading(node) if node is not None else None

    def pool_class(self, node: ast.expr | None) -> Kind:
        """Return the kind that ``poolclass`` names."""
        name = expression.dotted(node) if node is not None else None
        return _CLASSES.get((name or "").rpartition(".")[2], Kind.SQLALCHEMY)

    def sqlalchemy(self, node: ast.AST, options: Mapping[str, ast.expr], base: Engine | None = None) -> Engine:
        """Return the engine that SQLAlchemy makes with these options, on top of ``base``."""
        kind = self.pool_class(options.get("poolclass"))
        made = base if base is not None else engine(kind, source=self.at(node))
        if kind is not Kind.SQLALCHEMY and made.kind is Kind.SQLALCHEMY:
            made = engine(kind, made.name, source=made.source)
        if made.kind is Kind.SQLALCHEMY:
            made = replace(
                made,
                pool_size=self.number(options.get("pool_size"), "pool_size", node) or made.pool_size,
                max_overflow=self.number(options.get("max_overflow"), "max_overflow", node) or made.max_overflow,
                pool_timeout=self.seconds(options.get("pool_timeout"), "pool_timeout", node) or made.pool_timeout,
                pool_recycle=self.seconds(options.get("pool_recycle"), "pool_recycle", node) or made.pool_recycle,
            )
        ping = options.get("pool_pre_ping")
        if ping is not None and (known := self.known(ping)) is not None:
            made = replace(made, pool_pre_ping=Fact(bool(known.value), known.origin or self.at(ping)))
        if (arguments := options.get("connect_args")) is not None:
            made = self.statements(made, self.entries(arguments, node, quietly=True), node)
        return made

    def statements(self, made: Engine, options: Mapping[str, ast.expr], node: ast.AST) -> Engine:
        """Return the engine with what its driver is told of prepared statements and time-outs."""
        for name in ("statement_cache_size", "prepared_statement_cache_size"):
            if (known := self.known(options.get(name))) is not None:
                is_on = expression.number(known.value) != 0
                made = replace(made, named_statements=Fact(is_on, self.at(options[name])))
        if (known := self.known(options.get("prepare_threshold"))) is not None:
            made = replace(made, named_statements=Fact(known.value is not None, self.at(options["prepare_threshold"])))
        if (known := self.known(options.get("options"))) is not None:
            made = with_libpq_options(made, str(known.value), self.at(options["options"]))
        if "server_settings" in options:
            inner = self.entries(options["server_settings"], node, quietly=True)
            known = self.known(inner.get("statement_timeout"))
            seconds = milliseconds(str(known.value)) if known is not None else None
            if seconds is not None:
                made = replace(made, statement_timeout=Fact(seconds, self.at(inner["statement_timeout"])))
        return made


def with_url(made: Engine, url: Url, source: str) -> Engine:
    """Return the engine with the user, database and options of its URL."""
    if url.user is not None:
        made = replace(made, user=Fact(url.user, source))
    if url.database is not None:
        made = replace(made, database=Fact(url.database, source))
    if url.driver is not None:
        made = replace(made, driver=Fact(url.driver, source))
    return with_libpq_options(made, url.options, source)


def with_libpq_options(made: Engine, options: str, source: str) -> Engine:
    """Return the engine with the statement_timeout of ``options``, as ``-c statement_timeout=30s``."""
    found = re.search(r"statement_timeout\s*=\s*['\"]?(\d+\s*(?:ms|s|min|h)?)", options)
    seconds = milliseconds(found.group(1)) if found else None
    return made if seconds is None else replace(made, statement_timeout=Fact(seconds, source))

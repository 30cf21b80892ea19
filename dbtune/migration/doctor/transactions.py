"""Whose transaction the migrations run in: only Alembic can end its own to build an index outside of any."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from dbtune.migration.doctor import mends
from dbtune.migration.doctor.finding import Edit, Finding, Severity
from dbtune.migration.doctor.locks import settled
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.trace import Configured, Ran, Way
from dbtune.migration.doctor.values import Begun, Const, How, Statement

_STOPS = 'the revision stops with "env.py began a transaction itself" and nothing is built'
_ROLLED_BACK = "With SQLAlchemy 2, what other revisions did is rolled back too, unless env.py commits after them."


def judge(ways: Sequence[Way], by_hand: Source | None) -> Iterator[Finding]:
    """Yield what is wrong with the transactions around the migrations, on any of the ways.

    ``by_hand`` is a revision that works on an index CONCURRENTLY and that is not dbtune's, if there is one.
    """
    for way in ways:
        for ran in way.ran:
            yield from _offline(ran) if way.offline else _online(ran, by_hand)


def per_migration(configured: Configured) -> bool | None:
    """Return whether each migration gets a transaction of its own; None where that is not known."""
    if isinstance(ddl := configured.option("transactional_ddl"), Const) and ddl.value is False:
        return True
    chosen = configured.option("transaction_per_migration")
    if chosen is None:
        return None if configured.options.is_open else False
    return bool(chosen.value) if isinstance(chosen, Const) else None


def _online(ran: Ran, by_hand: Source | None) -> Iterator[Finding]:
    configured = ran.configured
    if configured is None or configured.connection is None:
        return
    begun, connection = configured.begun, configured.connection
    own = {How.ENGINE, How.CONNECTION, How.SESSION}
    covered = False
    if begun is not None and begun.how in own:
        finding = _begun_before(begun, configured, ran)
        covered = _covers(finding.edits, ran.site)
        yield finding
    elif begun is not None and begun.how is How.STATEMENT:
        yield _statement_before(begun, configured)
    elif ran.begun is not None and ran.begun.how in own:
        finding = _begun_after(ran.begun, ran)
        covered = _covers(finding.edits, ran.site) or not ran.inside
        yield finding
    elif connection.given and (begun is not None or not connection.is_checked):
        yield _given(configured)
    if not ran.inside and not covered and per_migration(configured) is not True:
        yield _without_transaction(ran, configured)
    if per_migration(configured) is not True:
        yield _one_transaction(configured, by_hand)
    if connection.autocommit is not None:
        yield _autocommit(connection.autocommit)


def _offline(ran: Ran) -> Iterator[Finding]:
    if not ran.inside and (ran.configured is None or per_migration(ran.configured) is False):
        yield found(
            "missing-transaction",
            Severity.ERROR,
            ran.site,
            "a script is printed without context.begin_transaction()",
            "It has no BEGIN at its start and no COMMIT at its end. What follows the last index, the note of its"
            " revision too, stands in a transaction that psql rolls back when the script is over.",
            "run the migrations in Alembic's own transaction, context.begin_transaction()",
            [_wrapped(ran)],
        )


def _covers(edits: Sequence[Edit], site: Site) -> bool:
    return any(each.file == site.source.path and each.line <= site.line <= each.last for each in edits)


def _begun_before(begun: Begun, configured: Configured, ran: Ran) -> Finding:
    """Report a transaction that was begun by hand before configure()."""
    how = {
        How.ENGINE: "the connection comes from begin(), in a transaction",
        How.SESSION: "a session's connection is in the session's transaction",
    }.get(begun.how, "a transaction is begun before context.configure()")
    words = {
        How.ENGINE: "open the connection without a transaction; Alembic begins its own",
        How.SESSION: "open a connection from the session's engine; Alembic begins its own transaction",
    }.get(begun.how, "leave the transaction to Alembic")
    settles = [edit for each in configured.statements[:-1] for edit in settled(each, is_last=False)]
    settles += [edit for each in configured.statements[-1:] for edit in settled(each, is_last=True)]
    afterwards = [_committed_after(each) for each in ran.after[-1:]] if begun.how is How.ENGINE else []
    return found(
        "outer-begin",
        Severity.ERROR,
        begun.site,
        how,
        "Alembic does not end a transaction that it did not begin, and an index is built CONCURRENTLY outside of any:"
        f" {_STOPS}.",
        words,
        _unbegun(begun, ran, [*settles, *afterwards], is_before=True),
    )


def _begun_after(begun: Begun, ran: Ran) -> Finding:
    """Report a transaction that was begun by hand between configure() and run_migrations()."""
    return found(
        "outer-begin",
        Severity.ERROR,
        begun.site,
        "a transaction is begun by hand around the migrations",
        "An index is built CONCURRENTLY outside of any transaction. Alembic can end its own for that, not this one:"
        f" SQLAlchemy refuses, or {_STOPS}.",
        "leave the transaction to Alembic" if ran.inside else "let Alembic begin the transaction",
        _unbegun(begun, ran, [], is_before=False),
    )


def _unbegun(begun: Begun, ran: Ran, others: Sequence[Edit | None], *, is_before: bool) -> list[Edit | None]:
    """Return the edits that take a begin() away, with what depends on it; ``others`` belong to the same fix."""
    source, node = begun.site.source, begun.site.node
    assert isinstance(node, ast.Call)
    if begun.how is How.ENGINE:
        return [mends.method_renamed(begun.site, "connect"), *others]
    if begun.how is How.SESSION:
        if isinstance(source.above(node), ast.Await) or not _is_method(node, "connection"):
            return [None]
        return [mends.replaced(source, node, f"{source.text(node.func)[: -len('.connection')]}.get_bind().connect()")]
    if isinstance(source.above(node), ast.withitem):
        if not is_before and not ran.inside:
            return [mends.replaced(source, node, "context.begin_transaction()")]
        inner = [*others]
        if not ran.inside and _within(begun.site, ran.site):
            inner.append(_wrapped(ran))
        if None in inner or any(each is not None and each.file != source.path for each in inner):
            return [None]
        return [mends.without_item(source, node, [each for each in inner if each is not None])]
    return [*_unassigned(begun.site), *others]


def _is_method(node: ast.Call, name: str) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == name


def _within(outer: Site, inner: Site) -> bool:
    """Return whether a place lies in the block of the with statement that another one heads."""
    block = outer.source.statement(outer.node)
    return outer.source is inner.source and block.lineno <= inner.line <= (block.end_lineno or 0)


def _unassigned(site: Site) -> list[Edit | None]:
    """Return the edits for ``transaction = connection.begin()``: it goes, and its ends become the connection's."""
    source, node = site.source, site.node
    statement = source.statement(node)
    assert isinstance(node, ast.Call)
    if not isinstance(node.func, ast.Attribute):
        return [None]
    connection = source.text(node.func.value)
    edits: list[Edit | None] = [mends.deleted(source, statement)]
    names = [each.id for each in getattr(statement, "targets", []) if isinstance(each, ast.Name)]
    if isinstance(statement, ast.Assign) and not names:
        return [None]
    uses = [each for each in ast.walk(source.tree) if isinstance(each, ast.Name) and each.id in names]
    return edits + [mends.replaced(source, each, connection) for each in uses if each.lineno > statement.lineno]


def _committed_after(statement: Statement) -> Edit | None:
    """Return the edit that commits what env.py did itself after the migrations."""
    source = statement.site.source
    return mends.added_after(source, source.statement(statement.site.node), mends.committed(statement))


def _statement_before(begun: Begun, configured: Configured) -> Finding:
    statements = configured.statements
    edits = [edit for each in statements[:-1] for edit in settled(each, is_last=False)]
    edits += [edit for each in statements[-1:] for edit in settled(each, is_last=True)]
    return found(
        "statement-before-configure",
        Severity.ERROR,
        begun.site,
        "a statement before context.configure() begins a transaction that nothing ends",
        "SQLAlchemy begins one with the first statement. Alembic finds it, does not end what it did not begin, and an"
        f" index is built CONCURRENTLY outside of any: {_STOPS}. {_ROLLED_BACK}",
        "commit before context.configure(); what was SET stays, for the session"
        " (or let the engine set it for each connection: connect_args, or an event)",
        edits,
    )


def _wrapped(ran: Ran) -> Edit | None:
    source = ran.site.source
    node = source.statement(ran.site.node)
    call = ran.site.node
    if not isinstance(node, ast.Expr) or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    return mends.wrapped(source, node, f"with {source.text(call.func.value)}.begin_transaction():")


def _without_transaction(ran: Ran, configured: Configured) -> Finding:
    known = per_migration(configured) is False
    return found(
        "missing-transaction",
        Severity.ERROR if known else Severity.WARNING,
        ran.site,
        "context.run_migrations() is not in context.begin_transaction()",
        "The first query of the migrations begins a transaction that is not Alembic's. An index revision stops with"
        f' "env.py began a transaction itself" and nothing is built. {_ROLLED_BACK}'
        + ("" if known else " Unless transaction_per_migration is set where it cannot be seen."),
        "run the migrations in Alembic's own transaction, context.begin_transaction()",
        [_wrapped(ran)],
    )


def _one_transaction(configured: Configured, by_hand: Source | None) -> Finding:
    source, node = configured.site.source, configured.site.node
    assert isinstance(node, ast.Call)
    chosen = configured.option("transaction_per_migration")
    site = chosen.site if isinstance(chosen, Const) and chosen.site is not None else None
    known = per_migration(configured) is False
    inline = any(keyword.arg == "transaction_per_migration" for keyword in node.keywords)
    if site is not None and not inline and isinstance(site.node, ast.expr):
        edit: Edit | None = mends.replaced(site.source, site.node, "True")
    elif known or inline:
        edit = mends.with_argument(source, node, "transaction_per_migration", "True")
    else:
        edit = None  # what cannot be seen may have it too, and twice is an error
    return found(
        "one-transaction-for-all",
        Severity.WARNING if known and by_hand is not None else Severity.INFO,
        configured.site,
        "all revisions of an upgrade share one transaction"
        + ("" if known else ", unless transaction_per_migration is set where it cannot be seen"),
        "An index build commits it half-way: the revisions before the index are done and noted. Those after it share"
        " the next one with the index's own note. If one of them fails, the index is there, valid and not noted. "
        + (
            "Upgrade again, and a revision of dbtune's finds it, builds nothing, and notes it."
            if by_hand is None
            else f"Upgrade again, and {by_hand.path.name} fails because the name is taken, unless it looks for the"
            " index first, as a revision of dbtune's does."
        ),
        "give each revision its own transaction, with transaction_per_migration=True",
        [edit],
    )


def _autocommit(site: Site) -> Finding:
    return found(
        "autocommit",
        Severity.WARNING,
        site,
        "the migrations run on a connection that commits each statement by itself",
        "A revision that fails half-way leaves its first half, and is not noted. That ends with the first index that is"
        " built: Alembic sets the connection back to transactions then. So an index revision's check and its note are"
        " one transaction all the same, and its index is built as with any other connection.",
        "take AUTOCOMMIT away; a revision that needs it has op.get_context().autocommit_block()",
    )


def _given(configured: Configured) -> Finding:
    return found(
        "given-connection",
        Severity.INFO,
        configured.site,
        "a program may hand over the connection, in config.attributes",
        "Whether it is in a transaction cannot be seen here. If it is, as one from engine.begin() or a pytest fixture"
        f" with a rollback, {_STOPS}.",
        "hand over a connection from engine.connect() that is not in a transaction",
    )

"""A change as the parts of an Alembic revision: what it says, what it defines, and what upgrade and downgrade do.

The text needs Alembic and SQLAlchemy only: it must work where dbtune is not installed, or no longer. Each statement
stands in it as it is sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from dbtune import __version__
from dbtune.migration import members, model
from dbtune.migration.create import CreateIndex
from dbtune.migration.evidence import Evidence
from dbtune.migration.step import Change, Members, Steps

_HELPERS = '''
def run(*statements: str) -> None:
    """Send each as it stands, or print it: nobody looks for parameters in it."""
    for statement in statements:
        if context.is_offline_mode():
            op.get_context().impl.static_output(f"{statement};\\n")
            continue
        try:
            op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
        except DBAPIError as error:
            if state(error) == "P0001":  # raised by a block above, which says it all
                text = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
                raise CommandError(text) from error
            raise


def state(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""
'''

_OUTSIDE = '''
def outside(statements: Iterable[str], cleanup: Iterable[str] = ()) -> None:
    """Run the statements outside of transactions and without time limits, which are put back in any case."""
    if context.is_offline_mode():
        op.get_context().impl.static_output(ADVICE)
    with ExitStack() as stack:
        try:
            stack.enter_context(op.get_context().autocommit_block())
        except AssertionError:  # all that Alembic says of it
            raise CommandError("env.py began a transaction itself; an index is built outside of any") from None
        try:
            for statement in chain(PREPARE, statements):
                run(statement)
        except BaseException as error:
            with suppress(Exception):  # the first error counts
                if state(error)[:2] in ("23", "53"):  # rows not unique, or no room: the half-built index is harmful
                    run(*cleanup)
            with suppress(Exception):
                run(*RESTORE)
            raise
        run(*RESTORE)
'''

_MEMBERS = '''
def members(cleanup: list[str]) -> Iterator[str]:
    """Yield the statements for the partitions that lack the index; offline, for those that were there long ago.

    ``cleanup`` becomes those that take away what the latest ones left.
    """
    if context.is_offline_mode():
        found = KNOWN
    else:
        found = op.get_bind().exec_driver_sql(TREE, execution_options={"no_parameters": True}).fetchall()
    parts = [(BRANCH if each[-1] else LEAF, each) for each in found]
    parts += [(ATTACH, each) for each in reversed(found) if each[-1]]
    for statements, (schema, table, above_schema, above, has_partitions) in parts:
        made = expanded(statements, (schema, table), (above_schema, above), root=ROOT, index=INDEX, ending=ENDING)
        cleanup[:] = [] if has_partitions else made[:CLEANUP]
        yield from made
'''

_ADVICE = "-- Apply with psql -v ON_ERROR_STOP=1, or what follows a failed statement is tried all the same."


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a template puts into a file. ``message`` is the docstring's text, whose first line is the title.

    ``definitions`` go above the functions, ``upgrade`` and ``downgrade`` into them; all without indentation.
    """

    title: str
    message: str
    imports: str
    definitions: str
    upgrade: str
    downgrade: str


def render(change: Change, *, revision: str, down_revision: str | None, evidence: Evidence, title: str = "") -> Parts:
    """Return ``change`` as a revision of that id, to follow ``down_revision``; the same for the same, byte by byte."""
    up = change.steps(revision)
    down = change.reverse().steps(revision)
    title = title or change.title
    return Parts(
        title=title,
        message="\n".join(_message(change, title, down_revision, evidence)),
        imports=_imports(up, down),
        definitions=_definitions(up, down),
        upgrade=_body(up, "UPGRADE"),
        downgrade=_body(down, "DOWNGRADE"),
    )


def _message(change: Change, title: str, down_revision: str | None, evidence: Evidence) -> list[str]:
    lines = [title, ""]
    if said := evidence.lines():
        lines += [*said, ""]
    if isinstance(change, CreateIndex):
        lines += ["In the models, or autogenerate drops it again:", f"  {model.line(change.definition)}", ""]
    lines += [
        "Writes go on meanwhile. If it was stopped, at any point, upgrade again: what is half done is found.",
        f"Undo: alembic downgrade {down_revision or 'base'}",
        f"Made by dbtune {__version__}; needs Alembic only.",
    ]
    return lines


def _imports(up: Steps, down: Steps) -> str:
    hashing = ["import hashlib"] if up.members or down.members else []
    return "\n".join(
        [
            *hashing,
            f"from collections.abc import {'Iterable, Iterator' if hashing else 'Iterable'}",
            "from contextlib import ExitStack, suppress",
            "from itertools import chain",
            "",
            "from alembic import context",
            "from alembic.util import CommandError",
            "from sqlalchemy.exc import DBAPIError",
        ]
    )


def _definitions(up: Steps, down: Steps) -> str:
    shared = up.shared
    parts = [
        f"ADVICE = {literal(_ADVICE)}",
        _constant("PREPARE", up.prepare or down.prepare),
        _constant("RESTORE", up.restore or down.restore),
        *(f"{name} = {literal(lines)}" for name, lines in shared),
    ]
    for name, steps in (("UPGRADE", up), ("DOWNGRADE", down)):
        if steps.members is not None:
            parts += _partitions(steps.members)
        parts.append(_constant(name, steps.outside, shared))
        if steps.after:
            parts.append(_constant(f"{name}_AFTER", steps.after))
        parts.append(_constant(f"{name}_CHECK", steps.inside, shared))
    helpers = [_HELPERS.strip("\n"), _OUTSIDE.strip("\n")]
    if up.members or down.members:
        helpers += [inspect.getsource(members.index_of).strip(), inspect.getsource(members.expanded).strip()]
        helpers.append(_MEMBERS.strip("\n"))
    return "\n\n".join(parts) + "\n\n\n" + "\n\n\n".join(helpers) + "\n"


def _partitions(parts: Members) -> list[str]:
    known = "".join(f"    {each!r},\n" for each in parts.known)
    return [
        f"ROOT, INDEX, ENDING = {parts.root!r}, {parts.index!r}, {parts.ending!r}",
        f"# Partitions that there were when this was written, for SQL that is printed offline.\nKNOWN = (\n{known})",
        f"TREE = {literal(parts.tree.strip())}",
        _constant("LEAF", parts.leaf),
        _constant("BRANCH", parts.branch),
        _constant("ATTACH", parts.attach),
        f"# As many of LEAF take away what a failed build left.\nCLEANUP = {parts.cleanup}",
    ]


def _body(steps: Steps, name: str) -> str:
    cleanup = f", cleanup={name}[:{steps.cleanup}]" if steps.cleanup else ""
    lines = []
    if steps.members is None:
        lines.append(f"outside({name}{cleanup})")
    else:
        after = f", {name}_AFTER" if steps.after else ""
        lines.append("cleanup: list[str] = []")
        lines.append(f"outside(chain({name}, members(cleanup){after}), cleanup)")
    if steps.inside:
        lines.append(f"run(*{name}_CHECK)  # in the transaction that notes this revision as done")
    return "\n".join(lines)


def _constant(name: str, statements: Sequence[str], shared: Sequence[tuple[str, str]] = ()) -> str:
    return f"{name} = (\n" + "".join(f"    {_sum(each, shared)},\n" for each in statements) + ")"


def _sum(statement: str, shared: Sequence[tuple[str, str]]) -> str:
    """Return a statement as a literal, or as the sum of literals and of lines that have a name."""
    pieces: list[tuple[bool, str]] = [(False, statement)]
    for name, lines in shared:
        split: list[tuple[bool, str]] = []
        for is_name, piece in pieces:
            before, found, after = (piece, "", "") if is_name else piece.partition(lines)
            split += [(is_name, before), *(((True, name), (False, after)) if found else ())]
        pieces = split
    return "\n    + ".join(piece if is_name else literal(piece) for is_name, piece in pieces if piece)


def literal(text: str) -> str:
    """Return ``text`` as a Python literal, over several lines where it has them."""
    escaped = text.replace("\\", "\\\\")
    if "\n" not in text:
        return '"' + escaped.replace('"', '\\"') + '"' if "'" in text or '"' not in text else f"'{escaped}'"
    escaped = escaped.replace('"""', '\\"\\"\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\\\n{escaped}"""'


def docstring(text: str) -> str:
    """Return ``text`` as it stands between a docstring's quotes."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return escaped[:-1] + '\\"' if escaped.endswith('"') else escaped

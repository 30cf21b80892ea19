"""All of it: a project's files, one after the other, and what was found in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from dbtune.migration.doctor import (
    addresses,
    choices,
    concurrently,
    elsewhere,
    files,
    history,
    locks,
    options,
    revisions,
    several,
    transactions,
)
from dbtune.migration.doctor.finding import Finding, Fix, Report, Severity
from dbtune.migration.doctor.names import Modules
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.settings import Settings
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.trace import Way
from dbtune.migration.doctor.values import Function
from dbtune.migration.doctor.walk import Walk


def examine(config: Path) -> Report:
    """Read the project that ``config`` names, and return what was found. Nothing of it is imported or executed.

    :raises BadFile: a file is missing, or cannot be read as what it is; with the line.
    """
    settings = Settings(config)
    findings = list(files.percents(settings))
    directory, more = files.directory(settings)
    findings += more
    if directory is None:
        return _report(config, None, ["the configuration"], findings)
    env = Source(directory / "env.py")
    seen = revisions.read(settings, directory)
    findings += _environment(env, settings, concurrently.by_hand(each.source for each in seen.revisions.values()))
    if not any(each.id == "multidb" for each in findings):
        findings += files.template(directory)
    findings += history.judge(seen, settings, directory)
    if not any(each.id == "autocommit" for each in findings):
        findings += [each for revision in seen.revisions.values() for each in concurrently.judge(revision)]
    for shared in [each for each in findings if each.id == "one-transaction-for-all"][:1]:
        findings += [each for revision in seen.revisions.values() for each in elsewhere.judge(revision, shared)]
    count = len(seen.revisions)
    read = [str(env.path), f"{count} revision{'' if count == 1 else 's'}"]
    return _report(config, env.path, read, findings)


def _environment(env: Source, settings: Settings, by_hand: Source | None) -> list[Finding]:
    ways, is_cut = _ways(env, settings)
    if (databases := several.databases(ways)) is not None:
        return [databases]
    findings = [
        *transactions.judge(ways, by_hand),
        *several.judge(ways),
        *locks.judge(ways),
        *addresses.judge(ways, settings),
        *options.judge(ways, env),
    ]
    if not any(way.ran for way in ways):
        findings.append(_unseen(env))
    elif is_cut:
        findings.append(_cut(env))
    return findings


def _ways(env: Source, settings: Settings) -> tuple[list[Way], bool]:
    """Return the ways through env.py, online and, where it asks, offline; and whether there were too many."""
    modules = Modules(settings.roots())
    ways: list[Way] = []
    is_cut = False
    for offline in (False, True):
        picks = choices.Choices()
        before = len(ways)
        for _ in picks.ways():
            way = Way(offline)
            Walk(settings, modules, picks, way).run(env)
            ways.append(way)
        is_cut |= len(ways) - before >= choices.MOST
        if not any(way.asked_offline for way in ways):
            break
    if any(way.ran for way in ways):
        return ways, is_cut
    for function in _candidates(env):
        for _ in (picks := choices.Choices()).ways():
            way = Way(offline=False)
            walk = Walk(settings, modules, picks, way)
            walk.attempt(Function(function, walk.run(env)))
            ways.append(way)
    return ways, is_cut


def _candidates(env: Source) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield functions that run migrations and that nothing was seen to call, such as methods."""
    for node in ast.walk(env.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            isinstance(each, ast.Attribute) and each.attr == "run_migrations" for each in ast.walk(node)
        ):
            yield node


def _unseen(env: Source) -> Finding:
    return Finding(
        id="env-unread",
        severity=Severity.WARNING,
        file=env.path,
        line=None,
        source=None,
        message="context.run_migrations() is not seen to be called",
        why="env.py leaves it to something that cannot be read here, such as a package or a framework. Its transactions"
        " were not judged.",
        fix=Fix(text="dbtune migrate verify runs a revision through it, on a throw-away server"),
    )


def _cut(env: Source) -> Finding:
    return found(
        "env-unread",
        Severity.INFO,
        Site(env, env.tree.body[0]),
        f"env.py has more than {choices.MOST} ways through it",
        "Not all of them were looked at.",
        "dbtune migrate verify runs a revision through it, on a throw-away server",
    )


def _report(config: Path, env: Path | None, read: Iterable[str], findings: Iterable[Finding]) -> Report:
    unique: dict[tuple[str, Path, int | None], Finding] = {}
    for each in findings:
        key = (each.id, each.file, each.line)
        if key not in unique or unique[key].severity < each.severity:
            unique[key] = each
    ordered = sorted(unique.values(), key=lambda each: (-each.severity, str(each.file), each.line or 0, each.id))
    return Report(config=config, env=env, read=tuple(read), findings=tuple(ordered))

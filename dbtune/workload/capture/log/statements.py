"""Entries become executions: each statement once, with its values, its duration and, from auto_explain, its plan.

What the server logs of one call is spread over several entries: parse, bind and execute of the extended protocol;
the statement (log_statement) before its duration (log_duration); auto_explain's plan before or after either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any

from dbtune.plan.formats import UnreadablePlan, documents
from dbtune.server.connection import APPLICATION_NAME, MARKER
from dbtune.workload import normalise
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import details
from dbtune.workload.capture.log.entry import Entry, moment
from dbtune.workload.fingerprint import is_preparable

_SESSIONS = 4096
_LONGEST_CACHED = 10_000
_PLANS_KEPT = 3
_DURATION = re.compile(r"duration: ([0-9]+(?:\.[0-9]+)?) ms(?:  |\Z)")
_EXECUTE = re.compile(r"execute (?!fetch from )[^:]*(?::[^ ][^:]*)*: ")
_TEXT_IN_JSON = re.compile(r'\s*\{\s*"Query Text": ("(?:[^"\\]|\\.)*+")')
_CURSOR = re.compile(
    r'\s*DECLARE\s+(?:"(?:[^"]|"")*"|\w+)\s+(?:(?:BINARY|ASENSITIVE|INSENSITIVE|NO\s+SCROLL|SCROLL)\s+)*CURSOR'
    r"(?:\s+WITH(?:OUT)?\s+HOLD)?\s+FOR\s+",
    re.IGNORECASE,
)
_EXECUTED = re.compile(r'\s*EXECUTE\s+(?:"(?:[^"]|"")*"|\w+)\s*(?:\((.*)\))?\s*;?\s*\Z', re.IGNORECASE | re.DOTALL)
_PREPARED = re.compile(
    r'prepare: \s*PREPARE\s+(?:"(?:[^"]|"")*"|\w+)\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)?AS\s+',
    re.IGNORECASE | re.DOTALL,
)
_NESTED = re.compile(r"(?:PL/\w+|SQL) function |SQL statement ")


class _Call:
    """A call as far as it is known: until the session's next one, a part of it may still come."""

    __slots__ = ("detail", "duration", "entry", "plan", "text")

    def __init__(self, entry: Entry, text: str, duration: float | None, plan: str = "") -> None:
        self.entry = entry
        self.text = text
        self.detail = entry.detail
        self.duration = duration
        self.plan = plan


def executions(entries: Iterable[Entry]) -> Iterator[Execution]:
    """Yield the statements that the entries tell of, each session's in their order.

    Constants of a text become parameters. What PREPARE does not take is left out, so are dbtune's own statements,
    those within functions, and those that failed: a log does not tell how long they took.
    """
    calls = _Calls()
    ready = calls.ready
    for entry in entries:
        calls.add(entry)
        if ready:
            yield from ready
            ready.clear()
    calls.end()
    yield from ready


class _Calls:
    """The last call of each session, and plans that came before the call that they belong to.

    ``ready`` are the executions of which nothing more can come.
    """

    def __init__(self) -> None:
        self.ready: list[Execution] = []
        self._last: dict[object, _Call] = {}
        self._plans: dict[object, _Call] = {}
        self._kept = _Plans()

    def add(self, entry: Entry) -> None:
        """Take one more entry."""
        message = entry.message
        if message.startswith("duration: "):
            found = _DURATION.match(message)
            if found is None:
                return
            at = found.end()
            if message.startswith(("parse ", "bind "), at):
                return
            duration = float(found[1])
            if message.startswith("statement: ", at):
                self._begin(entry, message[at + 11 :], duration)
            elif message.startswith("execute ", at):
                if head := _EXECUTE.match(message, at):
                    self._begin(entry, message[head.end() :], duration)
            elif message.startswith("plan:", at):
                self._explained(_Call(entry, "", duration, message[at + 5 :]))
            elif at == len(message):  # log_duration: the statement came before, by log_statement
                last = self._last.get(entry.source)
                if last is not None and last.duration is None:
                    last.duration = duration
        elif message.startswith("statement: "):
            self._begin(entry, message[11:], None)
        elif message.startswith("execute ") and (head := _EXECUTE.match(message)):
            self._begin(entry, message[head.end() :], None)

    def end(self) -> None:
        """Make what is left ready, because no more entries come."""
        for call in (*self._last.values(), *self._plans.values()):
            self._done(call)

    def _begin(self, entry: Entry, text: str, duration: float | None) -> None:
        source = entry.source
        before = self._last.pop(source, None)
        if before is not None:
            self._done(before)
        call = _Call(entry, text, duration)
        if self._plans and (plan := self._plans.pop(source, None)) is not None:
            if _is_of(plan.plan, text):
                call.plan = plan.plan
            else:
                self._done(plan)
        self._last[source] = call
        if len(self._last) > _SESSIONS:
            self._done(self._last.pop(next(iter(self._last))))

    def _explained(self, plan: _Call) -> None:
        """Give a plan to the session's last call if it is of the same text, else keep it for the next."""
        if _NESTED.search(plan.entry.context):
            return
        source = plan.entry.source
        last = self._last.get(source)
        if last is not None and not last.plan and _is_of(plan.plan, last.text):
            last.plan = plan.plan
            last.duration = plan.duration if last.duration is None else last.duration
            return
        before = self._plans.pop(source, None)
        if before is not None:
            self._done(before)
        self._plans[source] = plan
        if len(self._plans) > _SESSIONS:
            self._done(self._plans.pop(next(iter(self._plans))))

    def _done(self, call: _Call) -> None:
        entry = call.entry
        if call.duration is None or entry.application == APPLICATION_NAME or MARKER in call.text:
            return
        text, detail, plan = call.text, call.detail, None
        if not text:  # a plan without a call
            plan = _document(call.plan)
            if plan is None or MARKER in (text := plan.get("Query Text", "")):
                return
            detail = f"parameters: {given}" if (given := plan.get("Query Parameters")) else ""
        statement, values, types = _written(text, detail)
        if not _is_query(statement):
            return
        is_kept = bool(call.plan) and self._kept.wants(statement, call.duration)
        ended = moment(entry.time)
        self.ready.append(
            Execution(
                statement=statement,
                values=values,
                types=types,
                duration_ms=call.duration,
                rows=None,
                time=ended and ended - timedelta(milliseconds=call.duration),
                process=entry.process,
                application=entry.application or None,
                plan=_timed(plan or _document(call.plan), call.duration) if is_kept else None,
            )
        )


class _Plans:
    """Which plans to keep: a few of each statement, and each that took longer than all before."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def wants(self, statement: str, duration: float) -> bool:
        """Return whether the plan of one more call is kept."""
        count, longest = self._seen.get(statement, (0, -1.0))
        if count >= _PLANS_KEPT and duration <= longest:
            return False
        if len(self._seen) > _SESSIONS:
            self._seen.clear()
        self._seen[statement] = (count + 1, max(duration, longest))
        return True


def _written(text: str, detail: str) -> tuple[str, tuple[str | None, ...] | None, tuple[str, ...]]:
    """Return a statement with ``$1…$n``, the values, None where they are not told, and the types that are known."""
    if text[:8].upper() == "EXECUTE " and (executed := _EXECUTED.match(text)):
        return _prepared(executed[1], detail)
    if text[:8].upper() == "DECLARE " and (cursor := _CURSOR.match(text)):
        text = text[cursor.end() :]
    if detail and (values := details.parameters(detail)) is not None:
        return text, values, ()
    statement, constants, types = normalise.scan(text)
    if not constants and "$" in statement and _has_parameters(statement):
        return statement, None, ()
    return statement, constants, types


def _prepared(arguments: str | None, detail: str) -> tuple[str, tuple[str | None, ...] | None, tuple[str, ...]]:
    """Return what an EXECUTE ran: DETAIL has the PREPARE; the constants among its arguments are the values."""
    prepared = _PREPARED.match(detail)
    if prepared is None:
        return "", None, ()
    statement = detail[prepared.end() :]
    if arguments is None:
        return statement, (), ()
    listed, constants, _ = normalise.scan(f"VALUES ({arguments})")
    values = iter(constants)
    words = listed[len("VALUES (") : -1].split(", ") if constants else arguments.split(",")
    found = [None if word.strip().upper() == "NULL" else next(values, "") for word in words]
    whole = all(re.fullmatch(r"\s*(?:\$[0-9]+(?:::[\w ]+)?|NULL)\s*", word, re.IGNORECASE) for word in words)
    return statement, tuple(found) if whole else None, ()


def _is_query(statement: str) -> bool:
    """Return whether it is one statement that PREPARE takes."""
    return _is_short_query(statement) if len(statement) <= _LONGEST_CACHED else is_preparable(statement)


@lru_cache(maxsize=4096)
def _is_short_query(statement: str) -> bool:
    return is_preparable(statement)


def _has_parameters(statement: str) -> bool:
    return re.search(r"\$[0-9]", statement) is not None


def _is_of(plan: str, text: str) -> bool:
    """Return whether the plan is of the statement with this text, without reading all of it."""
    if found := _TEXT_IN_JSON.match(plan):
        try:
            return str(json.loads(found[1], strict=False)).strip() == text.strip()
        except ValueError:
            return False
    body = plan.lstrip()
    if body.startswith("Query Text:"):
        return body[11:].lstrip().startswith(text.strip())
    document = _document(plan)
    return document is not None and str(document.get("Query Text", "")).strip() == text.strip()


def _timed(document: dict[str, Any] | None, duration: float) -> dict[str, Any] | None:
    return None if document is None else document | {"Duration": duration}


def _document(plan: str) -> dict[str, Any] | None:
    """Return what auto_explain logged as EXPLAIN's document; None where it breaks off."""
    try:
        found = documents(plan)
    except UnreadablePlan:
        return None
    return found[0] if len(found) == 1 else None

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
from typing import Any, NamedTuple

from dbtune.plan.formats import UnreadablePlan, documents
from dbtune.server.connection import APPLICATION_NAME, MARKER
from dbtune.workload import normalise
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import details
from dbtune.workload.capture.log.entry import Entry, moment
from dbtune.workload.fingerprint import is_preparable

_SESSIONS = 4096
_TEXTS_KEPT = 5000
_LONGEST_CACHED = 10_000
_PLANS_KEPT = 3
_NUMBER = r"duration: ([0-9]+(?:\.[0-9]+)?) ms"
_EXECUTE = r"execute (?!fetch from )[^:]*(?::[^ ][^:]*)*: "
# A duration is followed by a statement, by auto_explain's plan, or by nothing where log_statement told the statement;
# those of parse and bind are left out, for an execute follows.
_TIMED = re.compile(rf"{_NUMBER}(?:  (?:statement: |{_EXECUTE})|  (?P<plan>plan:)|(?P<alone>\Z))")
_UNTIMED = re.compile(rf"statement: |{_EXECUTE}")
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


class Call(NamedTuple):
    """One call of a query; ``values`` and ``types`` as :class:`Execution` has them, ``entry`` is what told it."""

    statement: str
    values: tuple[str | None, ...] | None
    types: tuple[str, ...]
    duration_ms: float
    entry: Entry
    plan: dict[str, Any] | None


class _Told:
    """A call as far as it is known: until the session's next one, a part of it may still come."""

    __slots__ = ("duration", "entry", "plan", "text")

    def __init__(self, entry: Entry, text: str, duration: float | None, plan: str = "") -> None:
        self.entry = entry
        self.text = text
        self.duration = duration
        self.plan = plan


def executions(entries: Iterable[Entry]) -> Iterator[Execution]:
    """Yield the statements that the entries tell of, each session's in their order.

    Constants of a text become parameters. What PREPARE does not take is left out, so are dbtune's own statements,
    those within functions, and those that failed: a log does not tell how long they took.
    """
    return map(execution, calls(entries))


def execution(call: Call) -> Execution:
    """Return the call as every source of queries tells it."""
    statement, values, types, duration, entry, plan = call
    ended = moment(entry.time)
    return Execution(
        statement=statement,
        values=values,
        types=types,
        duration_ms=duration,
        rows=None,
        time=ended and ended - timedelta(milliseconds=duration),
        process=entry.process,
        application=entry.application or None,
        plan=plan,
    )


def calls(entries: Iterable[Entry]) -> Iterator[Call]:
    """Yield the calls of queries that the entries tell of, each session's in their order."""
    told = _Calls()
    ready = told.ready
    for entry in entries:
        message = entry[1]
        if message[:10] == "duration: ":
            if found := _TIMED.match(message):
                told.timed(entry, message, found)
        elif found := _UNTIMED.match(message):
            told.begun(entry, message[found.end() :], None)
        if ready:
            yield from ready
            ready.clear()
    told.end()
    yield from ready


class _Calls:
    """The last call of each session, and plans that came before the call that they belong to.

    ``ready`` are the calls of which nothing more can come.
    """

    def __init__(self) -> None:
        self.ready: list[Call] = []
        self._last: dict[object, _Told] = {}
        self._plans: dict[object, _Told] = {}
        self._kept = _Plans()
        self._known: dict[str, _Known] = {}

    def timed(self, entry: Entry, message: str, found: re.Match[str]) -> None:
        """Take an entry that tells a duration."""
        duration = float(found[1])
        match found.lastgroup:
            case "plan":
                self._explained(_Told(entry, "", duration, message[found.end() :]))
            case "alone":  # log_duration: the statement came before, by log_statement
                last = self._last.get(entry.source)
                if last is not None and last.duration is None:
                    last.duration = duration
            case _:
                self.begun(entry, message[found.end() :], duration)

    def begun(self, entry: Entry, text: str, duration: float | None) -> None:
        """Take an entry that tells a statement; its session's last one is done with that."""
        source = entry[4] or entry[3]
        before = self._last.pop(source, None)
        if before is not None:
            self._done(before)
        call = _Told(entry, text, duration)
        if self._plans and (plan := self._plans.pop(source, None)) is not None:
            if _is_of(plan.plan, text):
                call.plan = plan.plan
            else:
                self._done(plan)
        self._last[source] = call
        if len(self._last) > _SESSIONS:
            self._done(self._last.pop(next(iter(self._last))))

    def end(self) -> None:
        """Make what is left ready, because no more entries come."""
        for call in (*self._last.values(), *self._plans.values()):
            self._done(call)

    def _explained(self, plan: _Told) -> None:
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

    def _done(self, call: _Told) -> None:
        entry, text, duration = call.entry, call.text, call.duration
        if duration is None or entry.application == APPLICATION_NAME:
            return
        document = None
        detail = entry.detail
        if not text:  # a plan without a call
            document = _document(call.plan)
            if document is None:
                return
            text = document.get("Query Text", "")
            detail = f"parameters: {given}" if (given := document.get("Query Parameters")) else ""
        known = self._known.get(text)
        if known is not None:
            statement, has_parameters, is_query = known
            values = (details.parameters(detail) if detail else None) if has_parameters else ()
            types: tuple[str, ...] = ()
        else:
            statement, values, types = _written(text, detail)
            is_query = MARKER not in text and _is_query(statement)
            if not types and text[:8].upper() != "EXECUTE ":
                self._keep(text, _Known(statement, values is None or bool(values), is_query))
        if not is_query:
            return
        plan = None
        if call.plan and self._kept.wants(statement, duration):
            plan = _timed(document or _document(call.plan), duration)
        self.ready.append(Call(statement, values, types, duration, entry, plan))

    def _keep(self, text: str, known: _Known) -> None:
        """Remember a text that has no constants in it: it comes again as it is."""
        if len(text) <= _LONGEST_CACHED:
            if len(self._known) >= _TEXTS_KEPT:
                self._known.clear()
            self._known[text] = known


class _Known(NamedTuple):
    """What a text without constants is: its values come beside it, if it has parameters."""

    statement: str
    has_parameters: bool
    is_query: bool


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

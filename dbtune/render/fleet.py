"""The page of ``dbtune size check``: who asks for how many connections, whether they fit, and what would make them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dbtune.plan import words
from dbtune.pool import terms
from dbtune.pool.budget import SERVER, Budget, Inequality, Moment, Room
from dbtune.pool.sources.found import Found
from dbtune.pool.terms import Number, Term
from dbtune.pool.traps import Trap
from dbtune.render import table
from dbtune.render.document import SCHEMA_VERSION

HEADERS = ("who", "at rest", "in a deploy")
_ALIGN = ("left", "right", "right")
_MOST_TOLD = 12
_NUMBERS = 26
"""The room that the numbers of the table take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """All that a check found; ``fails`` are the traps that fail it beside the sums."""

    found: Found
    budget: Budget
    traps: tuple[Trap, ...]
    fails: tuple[Trap, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether all fits and no trap fails it."""
        return self.budget.holds and not self.fails


def document(checked: Checked) -> dict[str, Any]:
    """Return it for programs; null for a number that nothing limits."""
    budget = checked.budget
    fleet = budget.fleet
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "size check",
        "passed": checked.passed,
        "server": {
            "max_connections": fleet.server.max_connections.value,
            "usable": fleet.server.usable,
            "source": fleet.server.max_connections.source,
            "assumed": fleet.server.max_connections.assumed,
        },
        "terms": [_term(each) for each in terms.terms(fleet)],
        "sums": [summed(each) for each in budget.inequalities],
        "short": [{"who": each.who, "asks": each.asks, "gets": each.left} for each in budget.squeezed],
        "room": [
            {"service": each.service, "pods": each.pods, "connections_per_process": each.cap} for each in budget.room
        ],
        "role_limits": [
            {"services": list(each.services), "role": each.role, "connections": each.connections, "sql": each.statement}
            for each in budget.role_limits
        ],
        "traps": [_trap(each) for each in checked.traps],
        "notes": [str(each) for each in checked.found.notes],
        "passed_over": [str(each) for each in checked.found.problems],
        "read": list(checked.found.read),
    }


def _term(each: Term) -> dict[str, Any]:
    numbers = [{"name": n.name, "value": n.value, "source": n.source, "assumed": n.assumed} for n in each.numbers]
    return {
        "who": each.who,
        "at_rest": each.at_rest,
        "in_deploy": each.in_deploy,
        "formula": each.formula,
        "numbers": numbers,
    }


def summed(each: Inequality) -> dict[str, Any]:
    """Return one of the sums for programs."""
    return {
        "of": each.of,
        "moment": "rest" if each.moment is Moment.REST else "deploy",
        "asks": [{"who": ask.who, "connections": ask.connections} for ask in each.asks],
        "total": each.total,
        "usable": each.usable,
        "holds": each.holds,
    }


def _trap(each: Trap) -> dict[str, Any]:
    return {
        "id": each.id,
        "severity": each.severity.word,
        "places": list(each.places),
        "what": each.what,
        "remedy": each.remedy,
    }


def screen(checked: Checked, width: int, *, markdown: bool = False) -> str:
    """Return it for people, the verdict first."""
    page = _Page(checked, min(width, 110), markdown)
    return "\n\n".join(page.parts()) + "\n"


def verdict(checked: Checked) -> list[str]:
    """Return what fails, a line each, or that all fits."""
    budget = checked.budget
    lines = [failure(each) for each in budget.broken]
    rest, deploy = (budget.server(each) for each in Moment)
    if rest in budget.broken and rest.total == deploy.total:
        lines.remove(failure(deploy))  # nothing is added to it
    lines += [f"FAIL {each.id}: {each.what}" for each in checked.fails]
    if lines:
        return lines
    return [f"fits: {deploy.total} of {deploy.usable} connections in a deploy, {deploy.headroom} left"]


def failure(each: Inequality) -> str:
    """Return a sum that does not fit in words, its largest term first."""
    asks = sorted(each.asks, key=lambda ask: -(ask.connections or 0))
    unlimited = [ask.who for ask in each.asks if ask.connections is None]
    of = "the server" if each.of == SERVER else each.of
    if unlimited:
        return f"FAIL {each.moment}: nothing limits {', '.join(unlimited)}; {of} has {each.usable}"
    parts = ", ".join(f"{ask.who} {ask.connections}" for ask in asks if ask.connections)
    assert each.total is not None
    return (
        f"FAIL {each.moment}: {each.total} asked, {of} has {each.usable}: {each.total - each.usable} too many ({parts})"
    )


class _Page:
    """The parts of the page."""

    def __init__(self, checked: Checked, width: int, markdown: bool) -> None:
        self.checked = checked
        self.budget = checked.budget
        self.width = width
        self.markdown = markdown

    def parts(self) -> Iterator[str]:
        """Yield them."""
        lines = [f"**{line}**" for line in verdict(self.checked)] if self.markdown else verdict(self.checked)
        yield "\n".join(line for each in lines for line in self.fold(each, "    "))
        yield self.titled("Connections at most", self.sums())
        yield self.titled("Where the numbers are from", list(self.numbers()))
        if self.budget.squeezed:
            yield self.titled("Who comes short when the others have taken theirs", self.items(self.short()))
        if rooms := [text for each in self.budget.room if (text := _room(each, fits=self.budget.holds)) is not None]:
            yield self.titled("What fits" if self.budget.holds else "What would fit", self.items(rooms))
        if self.budget.role_limits:
            yield self.titled("To hold each to its share", self.code([e.statement for e in self.budget.role_limits]))
        if self.checked.traps:
            yield self.titled("Traps", self.items(trap(each) for each in self.checked.traps))
        if self.checked.found.notes:
            yield self.titled("Not known", self.items(_first(self.checked.found.notes)))
        if self.checked.found.problems:
            yield self.titled("Passed over", self.items(_first(self.checked.found.problems)))

    def sums(self) -> list[str]:
        rows = [(each.who, _count(each.at_rest), _count(each.in_deploy)) for each in terms.terms(self.budget.fleet)]
        rest, deploy = self.budget.server(Moment.REST), self.budget.server(Moment.DEPLOY)
        rows.append(("together", _count(rest.total), _count(deploy.total)))
        rows.append(("the server has", str(rest.usable), str(deploy.usable)))
        for each in self.budget.inequalities:
            if each.of != SERVER:
                asked = " + ".join(f"{ask.who} {_count(ask.connections)}" for ask in each.asks)
                rows.append((f"{each.of}, {each.usable}: {asked}", "", _count(each.total)))
        if self.markdown:
            return table.markdown(HEADERS, rows, _ALIGN).splitlines()
        return table.aligned(HEADERS, rows, min(self.width - 2, max(len(row[0]) for row in rows) + _NUMBERS))

    def numbers(self) -> Iterator[str]:
        for each in terms.terms(self.budget.fleet):
            lead = f"- **{each.who}**" if self.markdown else each.who
            yield from self.fold(f"{lead}: {each.formula} = {_count(each.in_deploy)}", "    ")
            told = "; ".join(_told(one) for one in each.numbers)
            yield from (f"    {line}" for line in self.fold(told, ""))
        for service in self.budget.fleet.services:
            if (pooler := self.budget.fleet.pooler(service.via)) is not None:
                lead = f"- **{service.name}**" if self.markdown else service.name
                term = terms.service(service)
                yield from self.fold(
                    f"{lead}: {term.formula} = {_count(term.in_deploy)}, through {pooler.name}", "    "
                )
        server = self.budget.fleet.server
        lead = "- **the server**" if self.markdown else "the server"
        said = _told(terms.number("max_connections", server.max_connections))
        yield from self.fold(f"{lead}: {terms.usable(server)} = {server.usable}", "    ")
        yield from (f"    {line}" for line in self.fold(said, ""))

    def short(self) -> Iterator[str]:
        for each in self.budget.squeezed:
            yield f"{each.who} asks for {_count(each.asks)} and gets {each.left}"

    def titled(self, title: str, lines: Sequence[str]) -> str:
        if self.markdown:
            return "\n".join([f"## {title}", "", *lines])
        return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])

    def code(self, lines: Sequence[str]) -> list[str]:
        return ["```sql", *lines, "```"] if self.markdown else list(lines)

    def items(self, texts: Iterator[str] | Sequence[str]) -> list[str]:
        return [line for text in texts for line in self.fold(f"- {text}", "  ")]

    def fold(self, text: str, indent: str) -> list[str]:
        if self.markdown:
            return [text]
        return textwrap.wrap(
            text, max(40, self.width - 6), break_long_words=False, break_on_hyphens=False, subsequent_indent=indent
        )


def trap(each: Trap) -> str:
    """Return a trap in one paragraph: what, what to do, where."""
    places = ", ".join(each.places)
    return f"{each.severity.word} {each.id}: {each.what}. {each.remedy}{f' ({places})' if places else ''}"


def _room(each: Room, *, fits: bool) -> str | None:
    """Return how far a service may go with the others as they are, None where nothing limits it."""
    if each.pods == 0 and each.cap == 0:
        return None if fits else f"{each.service}: nothing does as long as the others are as they are"
    limits = [words.plural(each.pods, "pod")] if each.pods else []
    limits += [f"{words.plural(each.cap, 'connection')} a process"] if each.cap else []
    return f"{each.service}: at most {' or '.join(limits)}, all else as it is" if limits else None


def _first(told: Sequence[object]) -> list[str]:
    """Return the first few of what cannot be told, and how many more there are."""
    more = [f"and {len(told) - _MOST_TOLD} more, which --format json has"] if len(told) > _MOST_TOLD else []
    return [str(each) for each in told[:_MOST_TOLD]] + more


def _told(each: Number) -> str:
    said = f"assumed, {each.source}" if each.assumed else each.source
    return f"{each.name} {each.value} ({said})" if said else f"{each.name} {each.value}"


def _count(number: int | None) -> str:
    return "no limit" if number is None else str(number)

"""The page of ``dbtune size --fleet``: each service's pool today and as recommended, and whether all of it fits."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from dbtune.plan import words
from dbtune.pool.budget import Moment
from dbtune.pool.fleet_sizing import FleetAdvice, Sized
from dbtune.pool.recommendation import Choice
from dbtune.pool.sources.found import Found
from dbtune.render import fleet as checked
from dbtune.render import size, table
from dbtune.render.document import SCHEMA_VERSION

HEADERS = ("service", "pool", "success", "p95 wait", "in a deploy")
_ALIGN = ("left", "left", "right", "right", "right")


def document(found: Found, advice: FleetAdvice) -> dict[str, Any]:
    """Return it for programs; times in milliseconds, shares from 0 to 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "size",
        "fits": advice.holds,
        "services": [_service(each) for each in advice.sized],
        "sums": {
            "today": [checked.summed(each) for each in advice.before.inequalities],
            "recommended": [checked.summed(each) for each in advice.after.inequalities],
        },
        "max_connections": advice.needed,
        "role_limits": [each.statement for each in advice.after.role_limits],
        "notes": [str(each) for each in found.notes],
        "read": list(found.read),
    }


def _service(each: Sized) -> dict[str, Any]:
    demand = each.today.prediction.demand
    return {
        "service": each.service.name,
        "engine": each.engine.source,
        "rate": demand.rate,
        "hold_ms": demand.curve.hold(1) * 1000,
        "today": size.choice(each.today),
        "recommended": None if each.best is None else size.choice(each.best),
        "why_none": each.advice.why_none,
        "alternatives": [size.choice(other) for other in each.advice.others],
        "pooler": None if each.advice.pooler is None else each.advice.pooler.size,
    }


def screen(found: Found, advice: FleetAdvice, width: int, *, markdown: bool = False) -> str:
    """Return it for people."""
    return "\n\n".join(_Page(found, advice, min(width, 110), markdown).parts()) + "\n"


class _Page:
    """The parts of the page."""

    def __init__(self, found: Found, advice: FleetAdvice, width: int, markdown: bool) -> None:
        self.found = found
        self.advice = advice
        self.width = width
        self.markdown = markdown

    def parts(self) -> Iterator[str]:
        """Yield them."""
        yield self.titled("Asked", self.items(self.asked()))
        yield self.titled("Each service's pool", self.settings())
        yield self.titled("All together", self.items(self.together()))
        for each in self.advice.sized:
            if each.best is not None:
                conditions = [f"{'✓' if one.holds else '✗'} {one.words}" for one in each.best.inequalities[:3]]
                told = size.named(each.best)
                title = f"{each.service.name}: {told[0].lower()}{told[1:]}"
                yield self.titled(title, self.items(conditions, lead=""))
            if each.advice.why_none is not None:
                yield "\n".join(self.fold(f"{each.service.name}: {each.advice.why_none}.", ""))
        yield self.titled("To paste", self.code(self.paste()))
        if poolers := [each for each in self.advice.sized if each.advice.pooler is not None]:
            yield self.titled("A pooler in front", self.items(self.pooler(poolers)))
        if self.found.notes:
            yield self.titled("Not known", self.items(str(each) for each in self.found.notes))

    def asked(self) -> Iterator[str]:
        for each in self.advice.sized:
            demand = each.today.prediction.demand
            hold = demand.curve.hold(1)
            said = [fact.source for fact in (each.service.rate, each.service.hold) if fact is not None]
            told = f" ({', '.join(dict.fromkeys(said))})" if said else ""
            yield (
                f"{each.service.name}: {demand.rate:.4g} requests a second, each holding a connection for"
                f" {words.milliseconds(hold * 1000)}: {demand.rate * hold:.3g} busy on average{told}"
            )

    def settings(self) -> list[str]:
        rows = []
        for each in self.advice.sized:
            rows.append(_row(f"{each.service.name} today", each.today, each))
            if each.best is not None:
                rows.append(
                    _row(f"{each.service.name} {'recommended' if each.best.holds else 'nearest'}", each.best, each)
                )
        if self.markdown:
            return table.markdown(HEADERS, rows, _ALIGN).splitlines()
        return table.aligned(HEADERS, rows, min(self.width - 2, max(len(row[0]) for row in rows) + 56))

    def together(self) -> Iterator[str]:
        for name, budget in (("today", self.advice.before), ("recommended", self.advice.after)):
            deploy = budget.server(Moment.DEPLOY)
            if deploy.holds:
                yield f"✓ {name}: {deploy.total} of {deploy.usable} connections in a deploy, {deploy.headroom} left"
            yield from (f"✗ {name}: {checked.failure(each).removeprefix('FAIL ')}" for each in budget.broken)
        if not self.advice.after.holds and self.advice.needed is not None:
            yield f"max_connections {self.advice.needed} would hold them all, if the server bears as many at work"

    def paste(self) -> Iterator[str]:
        for each in self.advice.sized:
            if each.best is not None:
                settings = each.best.settings
                yield f"# {each.service.name}{f': {each.engine.source}' if each.engine.source else ''}"
                yield f"create_engine(url, pool_size={settings.size}, max_overflow={settings.overflow}," + (
                    f" pool_timeout={settings.timeout:g})"
                )
        yield from (each.statement for each in self.advice.after.role_limits)
        if self.advice.needed is not None:
            yield f"-- max_connections: {self.advice.needed} at least"

    def pooler(self, sized: Sequence[Sized]) -> Iterator[str]:
        for each in sized:
            assert each.advice.pooler is not None
            yield f"{each.service.name}: {each.advice.pooler.words}"

    def titled(self, title: str, lines: Sequence[str]) -> str:
        if self.markdown:
            return "\n".join([f"## {title}", "", *lines])
        return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])

    def code(self, lines: Iterator[str]) -> list[str]:
        return ["```", *lines, "```"] if self.markdown else list(lines)

    def items(self, texts: Iterator[str] | Sequence[str], lead: str = "- ") -> list[str]:
        lead = "- " if self.markdown else lead
        return [line for text in texts for line in self.fold(f"{lead}{text}", "  ")]

    def fold(self, text: str, indent: str) -> list[str]:
        if self.markdown:
            return [text]
        return textwrap.wrap(text, max(40, self.width - 4), break_long_words=False, subsequent_indent=indent)


def _row(name: str, choice: Choice, of: Sized) -> tuple[str, ...]:
    settings, found = choice.settings, choice.prediction
    pods = of.service.pods.value
    deploy = (pods + of.service.rollout.extra(pods)) * of.service.processes.value * settings.cap
    return (
        name,
        f"{settings.size}+{settings.overflow} × {settings.processes}",
        f"{found.steady.success:.1%}",
        words.milliseconds(found.steady.wait.p95 * 1000),
        str(deploy),
    )

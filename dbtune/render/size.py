"""The page of ``dbtune size``: what is asked, what each setting does, what to paste; for people and for programs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from dbtune.plan import words
from dbtune.pool.asked import Asked
from dbtune.pool.prediction import Prediction, Settings
from dbtune.pool.recommendation import Advice, Choice
from dbtune.render import table
from dbtune.render.document import SCHEMA_VERSION

_BAR = 24
HEADERS = ("setting", "pool", "success", "p95 wait", "left", "breaks first")


def document(asked: Asked, given: Prediction, advice: Advice) -> dict[str, Any]:
    """Return it for programs; times in milliseconds, shares from 0 to 1, null for what has no end."""
    curve = asked.demand.curve
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "size",
        "asked": {
            "rate": asked.demand.rate,
            "hold_ms": asked.hold * 1000,
            "busy": asked.busy,
            "variation": asked.demand.variation,
            "burstiness": asked.demand.burstiness,
            "sources": asked.sources,
        },
        "server": {
            "most_per_second": _finite(curve.most),
            "peak": _finite(curve.peak),
            "peak_low": _finite(curve.low),
            "peak_high": _finite(curve.high),
            "points": [{"n": point.n, "per_second": point.per_second} for point in curve.points],
        },
        "settings": _settings(given.settings),
        "predicted": _predicted(given),
        "recommended": None if advice.best is None else choice(advice.best),
        "why_none": advice.why_none,
        "alternatives": [choice(each) for each in advice.others],
        "pooler": None if advice.pooler is None else {"connections": advice.pooler.size, "reason": advice.pooler.words},
        "causes": list(asked.causes),
        "doubts": list(asked.doubts),
    }


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        "pool_size": settings.size,
        "max_overflow": settings.overflow,
        "pool_timeout_ms": settings.timeout * 1000,
        "processes": settings.processes,
        "connections": settings.most,
        "usable": settings.limit,
    }


def _predicted(found: Prediction) -> dict[str, Any]:
    steady = found.steady
    return {
        "success": steady.success,
        "success_low": found.low,
        "success_high": found.high,
        "timed_out": steady.timed_out,
        "refused": steady.refused,
        "p_wait": steady.p_wait,
        "wait_ms": {name: getattr(steady.wait, name) * 1000 for name in ("mean", "p50", "p95", "p99")},
        "busy": steady.busy,
        "utilisation": found.utilisation,
        "fragile": found.is_fragile,
        "reason": found.reason,
        "method": found.method.value,
    }


def choice(choice: Choice) -> dict[str, Any]:
    """Return one of the settings for programs."""
    return {
        "name": choice.name,
        "settings": _settings(choice.settings),
        "predicted": _predicted(choice.prediction),
        "conditions": [{"condition": each.words, "holds": each.holds} for each in choice.inequalities],
        "burst_drains_s": _finite(choice.drains),
        "left": choice.margin,
        "breaks_first": choice.breaks_first,
    }


def _finite(number: float | None) -> float | None:
    return None if number is None or math.isinf(number) else number


def screen(asked: Asked, advice: Advice, sizes: Sequence[Prediction], width: int, *, markdown: bool = False) -> str:
    """Return it for people."""
    heading = [_wrapped(line, width - 2).replace("\n", "\n  ") for line in asked_lines(asked)]
    parts = [_titled("Asked", heading, markdown=markdown)]
    if asked.causes:
        parts.append(_titled("Do not touch the pool first", _items(asked.causes, width), markdown=markdown))
    parts.append(_titled("Settings", _table(advice, width, markdown=markdown), markdown=markdown))
    if advice.why_none is not None:
        parts.append(_wrapped(advice.why_none[0].upper() + advice.why_none[1:] + ".", width))
    if advice.best is not None:
        parts.append(_titled(named(advice.best), _conditions(advice.best), markdown=markdown))
        parts.append(_titled("To paste", _fenced(paste(advice.best), "", fenced=markdown), markdown=markdown))
    if advice.pooler is not None:
        told = advice.pooler.words
        parts.append(_wrapped(told[0].upper() + told[1:] + ".", width))
        parts.append(_titled("pgbouncer.ini", _fenced(bouncer(advice), "ini", fenced=markdown), markdown=markdown))
    if sizes:
        plotted = plot(sizes)
        title = "Success and wait by connections of one process"
        parts.append(_titled(title, ["```", *plotted, "```"] if markdown else plotted, markdown=markdown))
    if asked.doubts:
        parts.append(_titled("Take with care", _items(asked.doubts, width), markdown=markdown))
    return "\n\n".join(parts) + "\n"


def named(choice: Choice) -> str:
    """Return the heading of what is recommended."""
    settings = choice.settings
    each = "" if settings.processes == 1 else f" in each of {settings.processes} processes"
    lead = "Recommended" if choice.holds else "Nearest to what is wanted"
    return f"{lead}: pool_size={settings.size}, max_overflow={settings.overflow}{each}"


def _titled(title: str, lines: Sequence[str], *, markdown: bool) -> str:
    return "\n".join([f"## {title}", "", *lines] if markdown else [title, *(f"  {line}".rstrip() for line in lines)])


def asked_lines(asked: Asked) -> list[str]:
    """Return what is asked, and what the server does, a line each."""
    demand, curve = asked.demand, asked.demand.curve
    lines = [
        f"{demand.rate:.4g} requests a second, each holding a connection for {words.milliseconds(asked.hold * 1000)}:"
        f" {asked.busy:.3g} busy on average"
    ]
    if curve.points:
        at = f"at about {curve.peak:.0f} connections"
        if curve.low is not None and curve.high is not None:
            at += f" ({curve.low:.0f} to {'more' if math.isinf(curve.high) else f'{curve.high:.0f}'})"
        if math.isinf(curve.peak) or curve.peak > curve.points[-1].n:
            at = f"and still rising at {curve.points[-1].n:g} connections, the most that were tried"
        lines.append(f"the server does {curve.most:.4g} a second at most, {at}")
    elif not curve.is_straight:
        lines.append(f"the server does {curve.most:.4g} a second at most, at {curve.peak:.0f} connections")
    return lines + [f"{what}: {source}" for what, source in asked.sources.items()]


def rows(advice: Advice) -> list[tuple[str, ...]]:
    """Return the table of settings, its columns as in :data:`HEADERS`."""
    told: list[tuple[str, ...]] = []
    for choice in advice.choices:
        found, settings = choice.prediction, choice.settings
        pool = f"{settings.size}+{settings.overflow}" + (f" × {settings.processes}" if settings.processes > 1 else "")
        success = f"{found.steady.success:.1%}"
        if found.high - found.low >= 0.005:
            success += f" ({found.low:.0%}–{found.high:.0%})"
        left = "" if choice.margin is None else str(choice.margin)
        wait = words.milliseconds(found.steady.wait.p95 * 1000)
        told.append((choice.name, pool, success, wait, left, choice.breaks_first))
    return told


def _table(advice: Advice, width: int, *, markdown: bool) -> list[str]:
    told = rows(advice)
    align = ("left", "left", "right", "right", "right", "left")
    if markdown:
        return table.markdown(HEADERS, told, align).splitlines()
    if width >= table.WIDE:
        return table.grid(HEADERS, told, align, [None] * 5 + [max(30, width - 90)]).splitlines()
    lines = table.aligned(HEADERS[:5], [row[:5] for row in told], min(width, 100) - 2)
    folded = lines[:1]
    for line, row in zip(lines[1:], told, strict=True):
        folded += [line, *(f"    {each}" for each in _fold(f"breaks first: {row[5]}", width - 8))]
    return folded


def _conditions(choice: Choice) -> list[str]:
    drains = (
        "a burst never drains"
        if math.isinf(choice.drains)
        else (f"a burst of a second's requests drains in {choice.drains:.1f} s")
    )
    return [*(f"{'✓' if each.holds else '✗'} {each.words}" for each in choice.inequalities), f"  {drains}"]


def paste(choice: Choice) -> list[str]:
    """Return the settings as code and SQL, with what the server needs for them."""
    settings = choice.settings
    lines = [
        f"create_engine(url, pool_size={settings.size}, max_overflow={settings.overflow},"
        f" pool_timeout={settings.timeout:g})"
    ]
    if settings.processes > 1:
        lines.append(f"# in each of {settings.processes} processes: pods during a deploy × gunicorn --workers")
    lines.append(f"ALTER ROLE app CONNECTION LIMIT {settings.most};  -- the role that the service connects as")
    lines.append(f"-- max_connections: {settings.most} and what is reserved and others need, at least")
    return lines


def bouncer(advice: Advice) -> list[str]:
    """Return the settings of a pooler that would pay."""
    if advice.pooler is None:
        return []
    settings = advice.others[0].settings if advice.best is None else advice.best.settings
    return [
        "[pgbouncer]",
        "pool_mode = transaction",
        f"default_pool_size = {advice.pooler.size}",
        f"max_client_conn = {max(100, settings.most)}",
        f"query_wait_timeout = {max(1, round(settings.timeout))}",
    ]


def _fenced(lines: list[str], language: str, *, fenced: bool) -> list[str]:
    return [f"```{language}", *lines, "```"] if fenced else lines


def plot(sizes: Sequence[Prediction]) -> list[str]:
    """Return success and the wait of 95 % by connections of a process, a line each; at most 20 lines."""
    step = max(1, math.ceil(len(sizes) / 20))
    shown = [found for number, found in enumerate(sizes) if number % step == 0 or number == len(sizes) - 1]
    longest = max(found.steady.wait.p95 for found in shown) or 1.0
    lines = [f"{'size':>5}  {'success':<{_BAR + 7}}  p95 wait"]
    for found in shown:
        steady = found.steady
        good = _bar(steady.success, _BAR)
        wait = _bar(steady.wait.p95 / longest, 10)
        told = words.milliseconds(steady.wait.p95 * 1000)
        lines.append(f"{found.settings.cap:>5}  {good:<{_BAR}} {steady.success:>6.1%}  {wait:<10} {told}")
    return lines


def _bar(share: float, width: int) -> str:
    """Return a bar in eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def _items(texts: Sequence[str], width: int) -> list[str]:
    return [line for text in texts for line in _fold(f"- {text}", min(width, 110) - 4, "  ")]


def _wrapped(text: str, width: int) -> str:
    return "\n".join(_fold(text, min(width, 110)))


def _fold(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, max(40, width), break_long_words=False, subsequent_indent=indent) or [""]

"""Turning the result into what is sent to the client takes long: the rows are many, wide, or stored compressed.

EXPLAIN does not do this work unless it is asked to (SERIALIZE), so that a query looks fast there and is slow in the
application.

Fires when serialization takes a fifth of the execution or more and gives 1 MB or more, or gives 10 MB or more, which
then also have to go over the network.

What to do: select only the columns that are needed: large values are kept out of line (TOAST), and are only fetched and
decompressed when they are asked for. Fewer rows, by LIMIT or by aggregating in the query. Needs PostgreSQL 17 or newer.

Source: manual, EXPLAIN (SERIALIZE) and TOAST; ``Output Volume`` is in kB.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Severity, Sign
from dbtune.plan.rules import MIN_SHARE as WORTH_TELLING
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject

MIN_SHARE = 0.2
MIN_KB = 1024
MIN_KB_ALONE = 10 * 1024


def check(subject: Subject) -> Iterator[Sign]:
    plan = subject.plan
    details = plan.raw.get("Serialization", {})
    volume = float(details.get("Output Volume", 0))
    share = subject.part(plan.serialization_ms)
    if share is None or volume < MIN_KB or (share < MIN_SHARE and volume < MIN_KB_ALONE):
        return
    rows = subject.measure(plan.root).rows
    each = f", {words.number(volume * 1024 / rows.value)} bytes a row" if rows is not None and rows.value else ""
    yield Sign(
        message=f"the result is {words.size(volume / 8)}{each}; making it takes "
        f"{words.milliseconds(plan.serialization_ms)}",
        advice="selecting only the columns and rows that are needed",
        share=share,
        evidence={"volume_kb": round(volume), "serialization_ms": plan.serialization_ms},
        severity=None if share >= WORTH_TELLING else Severity.INFO,
    )


RULE = Rule("E4", "serialization", "A large result to be sent", check)

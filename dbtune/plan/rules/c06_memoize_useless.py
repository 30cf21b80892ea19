"""A Memoize keeps the rows of the inner side by key, to save lookups, but hardly saves any.

Fires when at least 1,000 lookups were not found in the cache and

- less than a fifth of all lookups were found, so that keeping the rows is work for nothing, or
- keys were thrown out again for want of memory, at least one for ten that were not found (evictions), or
- the rows of a single key did not fit (overflows).

What to do: where keys hardly repeat, the planner took them for fewer than there are: ANALYZE the outer table, raise the
statistics target of the key, or set n_distinct for it (ALTER TABLE … ALTER COLUMN … SET (n_distinct = …)). Where memory
is short, more of it: work_mem times hash_mem_multiplier. enable_memoize = off for this statement shows what a plan
without it would take.

Source: manual, 20.7.1 (enable_memoize), from PostgreSQL 14 on; counts are of each process, added up here (explain.c,
show_memoize_info).
"""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.plan import words
from dbtune.plan.finding import Sign
from dbtune.plan.rules import Rule
from dbtune.plan.subject import Subject
from dbtune.plan.tree import Node

MIN_MISSES = 1_000
MIN_HIT_RATIO = 0.2
MAX_EVICTED_RATIO = 0.1


def check(subject: Subject) -> Iterator[Sign]:
    for node in subject.running("Memoize"):
        hits, misses, evictions, overflows = (
            _total(node, f"Cache {what}") for what in ("Hits", "Misses", "Evictions", "Overflows")
        )
        if misses < MIN_MISSES:
            continue
        found = hits / (hits + misses)
        is_short = overflows > 0 or evictions >= MAX_EVICTED_RATIO * misses
        if not is_short and found >= MIN_HIT_RATIO:
            continue
        key = str(node.raw.get("Cache Key", "its key"))
        message = f"the cache by {key} answered {words.percent(found)} of {words.number(hits + misses)} lookups"
        yield Sign(
            message=message
            + (f" and threw out {words.plural(evictions, 'key')} for want of memory" if is_short else ""),
            advice=_advice(key, found, is_short=is_short, overflows=overflows),
            share=subject.subtree_share(node),  # its own time is too short, each time, to be measured
            node=node.number,
            evidence={
                "hits": round(hits),
                "misses": round(misses),
                "evictions": round(evictions),
                "overflows": round(overflows),
            },
        )


def _total(node: Node, key: str) -> float:
    """Return a count of the leader and of its workers."""
    return node.number_of(key) + sum(float(worker.get(key, 0)) for worker in node.workers)


def _advice(key: str, found: float, *, is_short: bool, overflows: float) -> str:
    mend = f"a better n_distinct for {key}, or enable_memoize = off"
    if not is_short:
        return mend
    lookups = "the rows of its largest key" if overflows else "all its keys"
    memory = f"hash memory (work_mem × hash_mem_multiplier) for {lookups}"
    return memory if found >= MIN_HIT_RATIO or overflows else f"{memory}, if they repeat; else {mend}"


RULE = Rule("C6", "memoize-useless", "Cache of lookups that saves few", check)

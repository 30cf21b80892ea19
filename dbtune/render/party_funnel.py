"""The funnel as people read it: each stage under the one it follows."""

from __future__ import annotations

from dbtune.party.web.funnel import STAGES, SUMS, Funnel


def table(funnel: Funnel) -> str:
    """Return the stages that any request reached, indented by what they are part of."""
    total = funnel.total
    processes = len(funnel.processes)
    lines = [f"{'requests':>9}  of {processes} process{'es' if processes != 1 else ''}"]

    def add(name: str, depth: int) -> None:
        if total[name] or name == "accepted":
            meaning = STAGES[name]
            lines.append(f"{total[name]:>9,}  {'  ' * depth}{_words(name)}{f': {meaning}' if depth else ''}")
        for each in SUMS.get(name, ()):
            add(each, depth + 1)

    add("accepted", 0)
    if total["written"]:
        lines.append(f"{total['written']:>9,}  written: {STAGES['written']}")
    statuses = ", ".join(
        f"{total[name]:,} × {name.removeprefix('status_')}"
        for name in STAGES
        if name.startswith("status_") and total[name]
    )
    if statuses:
        lines.append(f"answers: {statuses}; {total['statements']:,} statements")
    lines += [f"{total[name]:>9,}  {STAGES[name]}" for name in ("unwritten", "unthreaded") if total[name]]
    if funnel.in_flight:
        lines.append(f"{funnel.in_flight:>9,}  were never answered: their process ended")
    return "\n".join(lines)


def _words(name: str) -> str:
    return name.replace("_", " ")

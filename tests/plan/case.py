"""A rule's cases: what must make it fire, what must not, and the plans recorded for both on real servers.

``cases/RULE.yaml`` holds the SQL; ``record.py`` runs it and keeps plans and facts in ``plans/RULE/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from dbtune.plan.arithmetic import analyse
from dbtune.plan.parse import parse
from dbtune.plan.subject import Subject
from dbtune.server.facts import Facts, IndexFacts, TableFacts

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One statement of a rule's cases. ``setup`` runs first in a database of its own, outside any transaction.

    ``parameters`` are the values of ``$1…``; a statement without any is planned once and not anew when it is measured.
    ``sets`` are parameter sets: their plans and the generic one stand beside. ``before`` are settings with which the
    statement is planned for a baseline. ``slow_reads`` multiplies the time of reads in the recorded plan: no storage
    at hand is slow enough.
    ``settings`` are set for the session. ``majors`` are those that have what the case is about (from, to).
    ``evidence`` is what a firing rule must say at least.
    """

    rule: str
    name: str
    fires: bool
    setup: str
    sql: str
    parameters: tuple[str, ...] = ()
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    before: Mapping[str, str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    analyze: bool = True
    warm_up: bool = True
    needs_jit: bool = False
    slow_reads: float = 1.0
    majors: tuple[int, int] = (13, 99)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def path(self, major: int) -> Path:
        """Return where the plan of that major version is kept."""
        return HERE / "plans" / self.rule / f"{self.name}.{major}.json"


def load(rule: str | None = None) -> list[Case]:
    """Return the cases of one rule, or all."""
    paths = sorted((HERE / "cases").glob(f"{rule or '*'}.yaml"))
    return [case for path in paths for case in _cases(path)]


def _cases(path: Path) -> Iterator[Case]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for kind in ("fires", "silent"):
        for entry in document[kind]:
            low, high = entry.get("majors", document.get("majors", [13, 99]))
            yield Case(
                rule=path.stem,
                name=f"{kind}-{entry['name']}",
                fires=kind == "fires",
                setup=document.get("setup", "") + "\n" + entry.get("setup", ""),
                sql=entry["sql"].strip(),
                parameters=tuple(map(str, entry.get("parameters", []))),
                sets={name: tuple(map(str, values)) for name, values in entry.get("sets", {}).items()},
                before={k: str(v) for k, v in entry["before"].items()} if "before" in entry else None,
                settings={k: str(v) for k, v in {**document.get("settings", {}), **entry.get("settings", {})}.items()},
                analyze=entry.get("analyze", True),
                warm_up=entry.get("warm_up", True),
                needs_jit=entry.get("needs_jit", document.get("needs_jit", False)),
                slow_reads=entry.get("slow_reads", 1.0),
                majors=(low, high),
                evidence=entry.get("evidence", {}),
            )


def keep(
    case: Case,
    major: int,
    origin: Mapping[str, str],
    document: Mapping[str, Any],
    facts: Facts,
    beside: Mapping[str, Any],
) -> None:
    """Write a recorded plan, with where it comes from; ``beside`` are its alternatives and the plan before."""
    path = case.path(major)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"origin": dict(origin), "facts": _facts_document(facts), "explain": [document], **beside}
    path.write_text(json.dumps(record, separators=(",", ":"), default=str) + "\n", encoding="utf-8")


def subject(path: Path) -> Subject:
    """Return a recorded plan, ready for the rules."""
    record = json.loads(path.read_text(encoding="utf-8"))
    (plan,) = parse(record["explain"])
    alternatives = {name: parse(other)[0] for name, other in record.get("alternatives", {}).items()}
    before = parse(record["before"])[0] if "before" in record else None
    return Subject(analyse(plan), _facts(record["facts"]), alternatives, before)


def _facts_document(facts: Facts) -> dict[str, Any]:
    return {"tables": [asdict(table) for table in facts.tables.values()], "settings": dict(facts.settings)}


def _facts(document: Mapping[str, Any]) -> Facts:
    tables = {}
    for table in document["tables"]:
        indexes = tuple(IndexFacts(**{**i, "columns": tuple(i["columns"])}) for i in table.pop("indexes"))
        references = tuple((name, tuple(columns)) for name, columns in table.pop("referenced_by"))
        analyzed = table.pop("last_analyze")
        tables[table["name"]] = TableFacts(
            **table,
            indexes=indexes,
            referenced_by=references,
            last_analyze=datetime.fromisoformat(analyzed) if analyzed else None,
        )
    return Facts(tables=tables, settings=document["settings"])

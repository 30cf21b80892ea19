"""What of the advice rests on sizes being right: the chosen indexes planned a fifth smaller and a quarter larger."""

from __future__ import annotations

from collections.abc import Mapping

from dbtune.index.advisor.case import Case, after, ratio
from dbtune.index.advisor.dropping import live
from dbtune.index.search import NOISE
from dbtune.index.selection import Selection
from dbtune.index.whatif.protocol import Resizable

FACTORS = (0.8, 1.25)


def flips(case: Case, selection: Selection) -> Mapping[int, str]:
    """Return, by created index, which query would not be helped by it were sizes others; none where sizes are known.

    An index counts as dropped by a plan that neither uses it nor is as cheap without it.
    """
    if not isinstance(case.whatif, Resizable) or not selection.create:
        return {}
    left = live(case, selection)
    found: dict[int, str] = {}
    try:
        for factor in FACTORS:
            case.whatif.resize(sorted(selection.create), factor)
            for chosen in selection.chosen:
                made = chosen.used & selection.create
                if not made or ratio(chosen) >= 1 - NOISE:
                    continue
                answer = case.ask(chosen.question, left)
                lost = made - answer.used if answer.reason is None else frozenset()
                if answer.cost > after(chosen) * (1 + NOISE):
                    for each in sorted(lost):
                        size = "a quarter larger" if factor > 1 else "a fifth smaller"
                        said = f"were indexes {size} than estimated, {chosen.question.name} would be planned without it"
                        found.setdefault(each, said)
    finally:
        case.whatif.resize(sorted(selection.create), 1.0)
    return found

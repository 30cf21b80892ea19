"""Which sets of indexes to ask the planner about: those whose plans could be cheap for what their indexes cost.

:func:`cheapest` searches one question's graph for the plan that is cheapest together with the prices of its indexes,
by branch and bound. All that it knows of a planner is that more indexes make no plan dearer, so a plan's cost bounds
that of every plan with fewer indexes. An index whose price exceeds all that there is to gain is not even switched on,
which finds the narrow and cheap indexes that wide and dear ones would hide.

Each question is a :class:`Task` of its own and depends on no other, so that tasks run in any order and place with the
same result: here, in processes, or on a cluster, each of which raises its own what-if server once.
"""

from __future__ import annotations

import atexit
import heapq
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import count
from multiprocessing import util
from threading import Lock
from typing import Any

from dbtune.index.graph import EMPTY, Graph, Node, bits, members
from dbtune.index.whatif.protocol import Question, WhatIf

TOLERANCE = 0.0005
"""Part of a question's cost below which a better plan is not looked for."""

_LADDER = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
_STEP_NODES = 6
_STEPS_A_NODE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What using each index costs one execution of the question, in the planner's unit.

    An index that is not in ``of`` cannot be had. A plan is of interest if cost and prices together are below
    ``ceiling``. ``nodes`` is how often the planner may be asked for it. With ``every`` all plans of interest are looked
    for, not only the cheapest.
    """

    of: Mapping[int, float]
    ceiling: float
    nodes: int
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to find out about one question: the plans for ``sets``, and the cheapest ones at each of ``prices``.

    ``always`` are indexes that are live in every plan, and known to the server but no matter of choice.
    Without ``prices`` a new graph is explored for ``sizes`` (bytes by index) with ``nodes`` questions to the planner.
    """

    question: Question
    graph: Graph
    always: frozenset[int] = frozenset()
    sets: tuple[int, ...] = ()
    prices: tuple[Prices, ...] = ()
    sizes: Mapping[int, float] | None = None
    nodes: int = 0


@dataclass(frozen=True, slots=True)
class Explored:
    """A task's graph, and of each of its prices what no plan's cost and prices together can be below."""

    graph: Graph
    bounds: tuple[float, ...] = ()


def carry_out(whatif: WhatIf, task: Task) -> Explored:
    """Do one task. The task's graph grows, also where an exception such as KeyboardInterrupt ends it."""
    asker = _Asker(whatif, task)
    if not asker.start():
        return Explored(task.graph)
    for live in task.sets:
        asker.plan(live)
    if task.sizes is not None:
        _survey(asker, task.sizes, task.nodes)
    return Explored(task.graph, tuple(cheapest(task.graph, asker.plan, each) for each in task.prices))


class _Asker:
    """Asks the planner about one question, unless its graph knows."""

    def __init__(self, whatif: WhatIf, task: Task) -> None:
        self.graph = task.graph
        self._whatif = whatif
        self._question = task.question
        self._always = task.always

    def start(self) -> bool:
        """Ask about no index and about all of them; return whether the question can be planned at all."""
        if self.graph.reason is None and not self.graph.nodes:
            for live in dict.fromkeys((EMPTY, self.graph.relevant)):
                if self.plan(live) is None:
                    self.graph.nodes.clear()
                    return False
        return self.graph.reason is None

    def plan(self, live: int) -> Node | None:
        """Return the plan with these indexes, None where the planner refuses."""
        live &= self.graph.relevant
        if (known := self.graph.find(live)) is not None:
            return known
        self.graph.calls += 1
        answer = self._whatif.plan(self._question, self._always | set(members(live)))
        if answer.reason is not None:
            if not self.graph.nodes:
                self.graph.reason = answer.reason
            return None
        if not self.graph.nodes:
            self.graph.relations = relations(answer.document)
        node = Node(live, bits(answer.used) & live, answer.cost)
        self.graph.add(node)
        return node


def relations(document: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Return the schema and name of each relation in a plan."""
    found: set[tuple[str, str]] = set()
    waiting = [document.get("Plan", {})]
    while waiting:
        node = waiting.pop()
        if "Relation Name" in node:
            found.add((str(node.get("Schema", "")), str(node["Relation Name"])))
        waiting.extend(node.get("Plans", ()))
    return frozenset(found)


Ask = Callable[[int], Node | None]


def cheapest(graph: Graph, ask: Ask, prices: Prices) -> float:
    """Look for the plan that is cheapest together with the prices of its indexes; return what none can be below.

    That is the ceiling where no plan below it is left to be found, and less where the nodes were used up first.
    All plans on the way are in the graph. A planner for which more indexes are sometimes dearer (by up to 0.5 %) makes
    the bound as much less sure.
    """
    price = prices.of
    # to find every plan, neither the best so far nor a small difference ends a branch
    tolerance = 0.0 if prices.every else TOLERANCE * prices.ceiling
    least = min((node.cost for node in graph.nodes), default=0.0)
    best = prices.ceiling
    if not prices.every:
        for known in graph.nodes:
            if all(each in price for each in members(known.used)):
                best = min(best, known.cost + _sum(price, known.used))
    start = _worth(graph.relevant, EMPTY, price, best - least)
    # an entry: what nothing in it can be below, a number in order of finding, indexes live, indexes that are paid for
    waiting: list[tuple[float, int, int, int]] = [(least, 0, start, EMPTY)]
    found = 1
    passed_over = prices.ceiling
    last_call = graph.calls + prices.nodes
    last_step = prices.nodes * _STEPS_A_NODE
    for step in count():
        if not waiting:
            break
        bound, _, live, paid = heapq.heappop(waiting)
        if bound >= best - tolerance:
            passed_over = min(passed_over, bound)
            break
        if step >= last_step or (graph.calls >= last_call and graph.find(live) is None):
            return min(bound, passed_over)
        node = ask(live)
        if node is None:
            continue
        if not prices.every:
            best = min(best, node.cost + _sum(price, node.used))
        for dropped in sorted(members(node.used & ~paid), key=lambda each: (-price[each], each)):
            below = max(bound, node.cost + _sum(price, paid))
            if below >= best - tolerance:
                passed_over = min(passed_over, below)
                break
            if price[dropped] == 0 and not prices.every:
                break
            child = _worth(live & ~(1 << dropped), paid, price, best - below)
            heapq.heappush(waiting, (below, found, child, paid))
            found += 1
            paid |= 1 << dropped
    return min(best, passed_over)


def _sum(price: Mapping[int, float], used: int) -> float:
    return sum(price[each] for each in members(used))


def _worth(live: int, paid: int, price: Mapping[int, float], most: float) -> int:
    """Return those of ``live`` whose price is below ``most`` beyond what is paid for already."""
    return bits(each for each in members(live) if paid >> each & 1 or (each in price and price[each] < most))


def _survey(asker: _Asker, sizes: Mapping[int, float], nodes: int) -> None:
    """Look for the cheapest plans at rising prices of a byte."""
    graph = asker.graph
    dearest = graph.best(EMPTY).cost
    root = graph.best(graph.relevant)
    gain = dearest - root.cost
    room = sum(sizes.get(each, 0.0) for each in members(root.used))
    if gain <= TOLERANCE * dearest or room == 0:
        return
    last_call = graph.calls + nodes
    for step in _LADDER:
        if (left := last_call - graph.calls) <= 0:
            return
        prices = {each: step * gain / room * sizes.get(each, 0.0) for each in members(graph.relevant)}
        cheapest(graph, asker.plan, Prices(of=prices, ceiling=dearest, nodes=min(left, _STEP_NODES)))


MakeWhatIf = Callable[[], WhatIf]
"""Raises a server that knows all indexes under the same ids as everywhere. It is pickled, so a function of a module or
a partial of one."""


def explore_all(
    tasks: Sequence[Task],
    whatif: WhatIf | None = None,
    *,
    executor: Executor | None = None,
    make_whatif: MakeWhatIf | None = None,
) -> list[Explored]:
    """Do tasks with ``whatif`` here, or by ``executor`` with a server that each of its processes raises once.

    What comes back is the same either way, in the order of the tasks.
    """
    if executor is None or make_whatif is None:
        assert whatif is not None, "explore_all needs a server, or an executor and the means to raise one"
        return [carry_out(whatif, task) for task in tasks]
    factory = pickle.dumps(make_whatif)
    futures = [executor.submit(carry_out_elsewhere, factory, task) for task in tasks]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise


_raised: dict[bytes, tuple[WhatIf, Lock]] = {}
_raising = Lock()


def carry_out_elsewhere(factory: bytes, task: Task) -> Explored:
    """Do one task in a worker, with its server; one task at a time, for a server is not for two threads."""
    with _raising:
        if factory not in _raised:
            whatif: WhatIf = pickle.loads(factory)()
            # processes of multiprocessing end without atexit, all others without the former
            util.Finalize(None, close_raised, args=(factory,), exitpriority=10)
            atexit.register(close_raised, factory)
            _raised[factory] = whatif, Lock()
        whatif, lock = _raised[factory]
    with lock:
        return carry_out(whatif, task)


def close_raised(factory: bytes) -> None:
    """Remove the server that this process raised, if it did."""
    if (found := _raised.pop(factory, None)) is not None:
        found[0].close()

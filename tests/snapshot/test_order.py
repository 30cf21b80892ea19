"""The order in which objects can be made."""

from __future__ import annotations

import random

from dbtune.snapshot.order import Node, Rank, needing, ordered

A, B, C, D = ((1, number) for number in range(4))
LINK = (9, 9)


def ranks(*nodes: Node) -> dict[Node, Rank]:
    return {node: (0, "", "", f"{at:02}") for at, node in enumerate(nodes)}


def test_by_rank_where_nothing_is_needed() -> None:
    assert ordered(ranks(C, A, B), []) == [C, A, B]


def test_what_is_needed_comes_first() -> None:
    assert ordered(ranks(A, B, C), [(A, C), (C, B)]) == [B, C, A]


def test_links_are_followed_and_not_returned() -> None:
    assert ordered(ranks(A, B), [(A, LINK), (LINK, B)]) == [B, A]


def test_a_circle_is_broken_at_its_lowest_rank_and_the_rest_is_in_order() -> None:
    assert ordered(ranks(A, B, C, D), [(A, B), (C, B), (B, C), (C, D)]) == [D, B, A, C]


def test_a_circle_of_links_stops_nothing() -> None:
    other = (9, 8)
    assert ordered(ranks(A, B), [(A, LINK), (LINK, other), (other, LINK), (LINK, B)]) == [B, A]


def test_something_that_needs_itself() -> None:
    assert ordered(ranks(A, B), [(A, A)]) == [A, B]


def test_many_in_any_order_of_their_pairs() -> None:
    nodes = [(1, number) for number in range(300)]
    chance = random.Random(7)
    needs = [(nodes[i], nodes[j]) for i in range(300) for j in chance.sample(range(300), 3) if j < i]
    first = ordered(ranks(*reversed(nodes)), needs)
    chance.shuffle(needs)
    assert ordered(ranks(*reversed(nodes)), needs) == first
    places = {node: at for at, node in enumerate(first)}
    assert len(places) == 300
    assert all(places[needed] < places[node] for node, needed in needs)


def test_needing_goes_over_links() -> None:
    assert needing([A], [(LINK, A), (B, LINK), (C, B), (A, D)]) == {LINK, B, C}

"""What an arm's requests ask for: the report's three routes, with businesses chosen from the data."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from dbtune.load.route import Expectation, Route
from dbtune.party.models import SCHEMA
from dbtune.server.connection import MARKER
from dbtune.study.arm import ROUTES

_KEYS = f"""{MARKER} SELECT party_uuid::text AS id, business_ref AS ref FROM {SCHEMA}.business
 ORDER BY pg_catalog.md5(business_ref), business_ref LIMIT :keys"""
_PATHS = ("/businesses?id={id}", "/businesses/ref/{ref}", "/businesses/id/{id}")
_EXPECTED: tuple[dict[str, str], ...] = ({}, {"sampleUnitRef": "{ref}"}, {"id": "{id}"})


def routes(connection: Connection, chosen: Sequence[int], keys: int) -> tuple[Route, ...]:
    """Return the routes with ``keys`` businesses to choose from: the same data, the same businesses."""
    found = tuple(dict(row._mapping) for row in connection.execute(text(_KEYS), {"keys": keys}))
    return tuple(
        Route(
            method="GET",
            path=_PATHS[each],
            name=ROUTES[each],
            parameters=found,
            expect=Expectation(statuses=(200,), json=_EXPECTED[each]),
        )
        for each in chosen
    )

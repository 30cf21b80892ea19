"""Connections that say nothing for hours: kept open on their way, and found out about when the other side is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dbtune.server.connection import Target

KEEPALIVES: Mapping[str, str] = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""libpq's parameters (manual, 32.1.2), in seconds, and milliseconds for the last; they say nothing of a Unix socket."""


def lasting(target: Target) -> Target:
    """Return ``target`` with them, where its URL does not say otherwise."""
    missing = {name: value for name, value in KEEPALIVES.items() if name not in target.url.query}
    return replace(target, url=target.url.update_query_dict(missing))

"""The emulated hold: a database that takes longer than this machine's, so that pools can be studied at low rates."""

from __future__ import annotations

import random

from sqlalchemy import text
from sqlalchemy.orm import Session

from dbtune.party.web.settings import Settings

HEADER = "X-Emulated-Hold"
"""The header of every answer that was held, with the seconds."""

_SLEEP = text("/* party: emulated hold */ SELECT pg_catalog.pg_sleep(:seconds)")


def hold(session: Session, settings: Settings) -> None:
    """Keep the session's connection busy on the server, as the settings say, after the work and before the commit."""
    if settings.hold_s:
        seconds = random.expovariate(1 / settings.hold_s) if settings.hold_exponential else settings.hold_s
        session.execute(_SLEEP, {"seconds": seconds})


def label(settings: Settings) -> str:
    """Return the hold as answers and logs tell it."""
    return f"{settings.hold_s:g} s{', exponential' if settings.hold_exponential else ''}"

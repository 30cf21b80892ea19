"""The figures of the report of 2019, as it gives them: per cent of requests, counts, milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.study.arm import Reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Per cent answered 200, not answered, 404 and 500; ``funnel``: sent, hit, started, completed; ``times`` in ms:
    fastest, slowest, mean, median."""

    title: str
    ok: float | None = None
    none: float | None = None
    missing: float | None = None
    error: float | None = None
    funnel: tuple[int, int, int, int] | None = None
    times: tuple[int, int, int, int] | None = None


FIGURES = {
    Reported.BASELINE: Figures(title="Docker image, three routes", ok=45.90, none=53.86, missing=0.0, error=0.24),
    Reported.GUNICORN: Figures(title="gunicorn, three routes", ok=57.23, none=42.77, missing=0.0, error=0.0),
    Reported.CACHE: Figures(title="SimpleCache, three routes", ok=96.49, none=3.51, missing=0.0, error=0.0),
    Reported.FULL_RUN: Figures(
        title="5+10, three routes, logged",
        ok=39.60,
        none=22.45,
        missing=0.0,
        error=37.95,
        funnel=(12000, 9306, 9306, 6273),
    ),
    Reported.POOL_500: Figures(
        title="pool 500 against 300, one route",
        ok=80.30,
        none=0.0,
        missing=0.0,
        error=19.70,
        funnel=(4000, 4000, 4000, 3212),
    ),
    Reported.POOL_100: Figures(
        title="pool 100, one route",
        ok=100.0,
        none=0.0,
        missing=0.0,
        error=0.0,
        funnel=(4000, 4000, 4000, 4000),
        times=(17, 28566, 7773, 6912),
    ),
    Reported.INDEXES: Figures(title="with indexes, one route", times=(15, 31598, 7519, 5518)),
}

"""Closed forms of one pool: a queue whose callers wait at most for pool_timeout, and a server that refuses instead.

Arrivals are Poisson, holds exponential with the server's X(j) for j of them busy, callers are served in order. With
P_j the chance of j busy, λ the rate, c the pool's cap, τ the patience and δ = λ - X(c):

- ``waiting``: P_j / P_{c-1} = Π_{i=j+1}^{c-1} X(i)/λ for j < c-1; the wait has density P_{c-1}·λ·e^{δw} up to τ. This
  is M/M(n)/c+D; for a straight X it is Barrer's queue (Operations Research 5, 1957), and Erlang C for τ = ∞ and δ < 0.
- ``refusing``: P_j ∝ Π λ/X(i) for j ≤ m; a share of P_m is refused. For a straight X it is Erlang B, which holds
  whatever the holds' distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dbtune.errors import UsageError
from dbtune.pool.curve import Curve

_QUANTILES = (0.5, 0.95, 0.99)
_NEAR_ZERO = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Seconds until a connection was had, of those who got one; most of them zero unless the pool is short."""

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The steady state. Shares of all requests: ``success`` + ``timed_out`` + ``refused`` = 1.

    ``p_wait`` is the share that found no connection free, ``busy`` the mean number of connections held. ``late`` is
    the share that succeeded too late for whoever asked; only a simulation with a deadline knows it.
    """

    success: float
    timed_out: float
    refused: float
    p_wait: float
    wait: Wait
    busy: float
    late: float = 0.0


def waiting(rate: float, curve: Curve, cap: int, patience: float) -> Steady:
    """Return what ``cap`` connections do for ``rate`` requests a second that wait for ``patience`` seconds at most.

    :raises UsageError: patience has no end and the requests are more than the pool can serve: there is no steady state.
    """
    _check(rate, cap)
    top = curve.per_second(cap)
    drift = rate - top
    if math.isinf(patience) and drift >= 0:
        raise UsageError(
            f"{rate:g} requests a second, {top:g} served and no time-out: the queue grows for ever; give a time-out"
        )
    logs = _logs(rate, curve, cap)  # log(P_j / P_{c-1})
    rises = max(0.0, drift * patience) if not math.isinf(patience) else 0.0
    scale = max(*logs, rises)  # all weights are taken relative to e^scale: their own values may not fit a float
    weights = [math.exp(each - scale) for each in logs]
    idle = math.fsum(weights)  # S
    unit = math.exp(-scale)
    queued = _integral(rate, drift, patience, scale)  # A
    lost = 0.0 if math.isinf(patience) else rate / top * math.exp(drift * patience - scale)  # B
    whole = idle + queued + lost
    success = (idle + queued) / whole
    busy = (math.fsum(j * weight for j, weight in enumerate(weights)) + cap * (queued + lost)) / whole

    def quantile(share: float) -> float:
        over = share * (idle + queued) - idle
        if over <= 0:
            return 0.0
        if abs(drift) * (1.0 if math.isinf(patience) else patience) < _NEAR_ZERO:
            return over / (rate * unit)
        # over = λ(e^{δw} - 1)/δ · e^-scale, taken in logarithms because e^scale may not fit a float
        inner = drift * over / rate
        if drift > 0:
            return (scale + math.log(inner + unit)) / drift
        return math.log1p(inner / unit) / drift

    mean = _first_moment(rate, drift, patience, scale) / (idle + queued)
    p50, p95, p99 = (max(0.0, min(quantile(each), patience)) for each in _QUANTILES)
    return Steady(
        success=success,
        timed_out=lost / whole,
        refused=0.0,
        p_wait=(queued + lost) / whole,
        wait=Wait(mean=mean, p50=p50, p95=p95, p99=p99),
        busy=busy,
    )


def refusing(rate: float, curve: Curve, limit: int) -> Steady:
    """Return what a server does that refuses every connection beyond ``limit``, to a pool that would open more."""
    _check(rate, limit)
    logs = [0.0]
    for j in range(1, limit + 1):
        logs.append(logs[-1] + math.log(rate / curve.per_second(j)))
    scale = max(logs)
    weights = [math.exp(each - scale) for each in logs]
    whole = math.fsum(weights)
    refused = weights[-1] / whole
    busy = math.fsum(j * weight for j, weight in enumerate(weights)) / whole
    return Steady(success=1 - refused, timed_out=0.0, refused=refused, p_wait=0.0, wait=Wait(), busy=busy)


def _check(rate: float, cap: int) -> None:
    if not rate > 0:
        raise UsageError("the arrival rate must be more than 0")
    if cap < 1:
        raise UsageError("a pool needs at least one connection")


def _logs(rate: float, curve: Curve, cap: int) -> list[float]:
    """Return log(P_j / P_{c-1}) for j = 0 … c-1."""
    logs = [0.0] * cap
    for j in range(cap - 2, -1, -1):
        logs[j] = logs[j + 1] + math.log(curve.per_second(j + 1) / rate)
    return logs


def _integral(rate: float, drift: float, patience: float, scale: float) -> float:
    """Return ∫₀^τ λ e^{δw} dw · e^-scale."""
    if math.isinf(patience):
        return rate / -drift * math.exp(-scale)
    if abs(drift) * patience < _NEAR_ZERO:
        return rate * patience * math.exp(-scale)
    if drift > 0:
        return rate / drift * (math.exp(drift * patience - scale) - math.exp(-scale))
    return rate / drift * math.expm1(drift * patience) * math.exp(-scale)


def _first_moment(rate: float, drift: float, patience: float, scale: float) -> float:
    """Return ∫₀^τ w λ e^{δw} dw · e^-scale."""
    if math.isinf(patience):
        return rate / drift**2 * math.exp(-scale)
    turn = drift * patience
    if abs(turn) < 1e-5:
        return rate * patience**2 * (0.5 + turn / 3) * math.exp(-scale)
    return rate / drift**2 * ((turn - 1) * math.exp(turn - scale) + math.exp(-scale))

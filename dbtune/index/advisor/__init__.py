"""The advisor: which indexes a workload should have, why, how sure that is, and what else was looked at.

This package loads sqlglot and HiGHS: import it late.
"""

from dbtune.index.advisor.advisor import advise
from dbtune.index.advisor.wanted import Budget, Wanted, budget
from dbtune.index.advisor.workers import Workers, workers

__all__ = ["Budget", "Wanted", "Workers", "advise", "budget", "workers"]

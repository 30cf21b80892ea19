"""Candidates: the indexes that may help a workload, found in its statements and plans by rule, without a server.

This package loads sqlglot: import it late.
"""

from dbtune.index.candidates.search import candidates
from dbtune.index.candidates.value import KINDS, Candidate, Candidates, Limits

__all__ = ["KINDS", "Candidate", "Candidates", "Limits", "candidates"]

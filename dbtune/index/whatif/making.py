"""Raising a what-if server by its method: here, or in a worker that gets all that it takes as one value."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import make_url

from dbtune.index.definition import Index
from dbtune.index.whatif.protocol import WhatIf
from dbtune.server.connection import Target
from dbtune.snapshot.value import Snapshot


class Method(StrEnum):
    """How to ask."""

    TWIN = "twin"
    HYPOPG = "hypopg"
    REAL = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a what-if server is raised from. ``target`` is the server that HypoPG or the copy is on.

    ``throw_away``: somebody said that it is a copy that may be changed.
    """

    method: Method
    snapshot: Snapshot
    target: Target | None = None
    throw_away: bool = False

    def raised(self, progress: Callable[[str], None] = lambda text: None) -> WhatIf:
        """Raise it.

        :raises ServerError: it cannot be, see the methods' own modules.
        :raises Unsafe: the method changes its server, and nobody said that it may.
        """
        if self.method is Method.TWIN:
            from dbtune.index.whatif.twin import raise_twin

            return raise_twin(self.snapshot)
        assert self.target is not None, "HypoPG and real ask a server"
        if self.method is Method.HYPOPG:
            from dbtune.index.whatif.hypopg import raise_hypopg

            return raise_hypopg(self.target, self.snapshot)
        from dbtune.index.whatif.real import raise_real

        return raise_real(self.target, self.snapshot, throw_away=self.throw_away, progress=progress)

    def made(self, candidates: Sequence[Index]) -> Made:
        """Return what raises it in a worker, with these candidates known under the same ids as here."""
        url = None if self.target is None else self.target.url.render_as_string(hide_password=False)
        source = None if self.target is None else self.target.source
        held = (self.method, self.snapshot, url, source, self.throw_away, tuple(candidates))
        return Made(zlib.compress(pickle.dumps(held)))


@dataclass(frozen=True, slots=True)
class Made:
    """A :class:`Source` with candidates, packed: it is sent with every task, and told from others by its bytes."""

    packed: bytes

    def __call__(self) -> WhatIf:
        """Raise the server, and make the candidates known."""
        method, snapshot, url, source, throw_away, candidates = pickle.loads(zlib.decompress(self.packed))
        target = None if url is None else Target(make_url(url), source)
        whatif = Source(method=method, snapshot=snapshot, target=target, throw_away=throw_away).raised()
        whatif.add(candidates)
        return whatif

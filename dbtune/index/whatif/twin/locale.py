"""In which locale a twin is made: production's if this machine has it, for plans go by the order of texts."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from dataclasses import dataclass

from dbtune.snapshot.value import Snapshot

_C = ("C", "POSIX")


@dataclass(frozen=True, slots=True)
class Choice:
    """initdb's options, and what makes plans less sure with them, None where it is production's own locale."""

    options: tuple[str, ...]
    warning: str | None = None


def choices(snapshot: Snapshot, major: int) -> Iterator[Choice]:
    """Yield what to try, best first; the last one works everywhere."""
    encoding = f"--encoding={snapshot.encoding}"
    collate, ctype = _system(snapshot.collate), _system(snapshot.ctype)
    if collate is not None and ctype is not None:
        libc = (encoding, f"--lc-collate={collate}", f"--lc-ctype={ctype}", *_rest())
        if snapshot.locale_provider == "i" and major >= 15:
            yield Choice(("--locale-provider=icu", f"--icu-locale={snapshot.locale or 'und'}", *libc))
        elif snapshot.locale_provider in ("b", "i"):
            if major >= 17 and snapshot.locale_provider == "b":
                yield Choice(("--locale-provider=builtin", f"--builtin-locale={snapshot.locale or 'C'}", *libc))
        else:
            yield Choice(libc)
    order = snapshot.locale if snapshot.locale_provider in ("b", "i") and snapshot.locale else snapshot.collate
    warning = (
        f"texts are not in the order of locale {order}, which this machine does not have: ranges of texts are guessed"
    )
    bytewise = snapshot.locale_provider == "b" or (snapshot.locale_provider == "c" and snapshot.collate in _C)
    character_set = _system("C.UTF-8") or "C"
    # in the order of bytes, but for the planner no locale in which LIKE 'x%' is a range, unless it is so in production
    same = (encoding, f"--lc-collate={'C' if bytewise else character_set}", f"--lc-ctype={character_set}", *_rest())
    yield Choice(same, None if bytewise and snapshot.encoding == "UTF8" else warning)
    yield Choice(("--encoding=UTF8", "--locale=C"), f"{warning}; the encoding is UTF8, not {snapshot.encoding}")


def _rest() -> tuple[str, ...]:
    return ("--lc-messages=C", "--lc-monetary=C", "--lc-numeric=C", "--lc-time=C")


def _system(name: str) -> str | None:
    """Return the locale's name if the C library has it."""
    if name in _C:
        return name
    current = locale.setlocale(locale.LC_COLLATE)
    try:
        locale.setlocale(locale.LC_COLLATE, name)
    except locale.Error:
        return None
    finally:
        locale.setlocale(locale.LC_COLLATE, current)
    return name

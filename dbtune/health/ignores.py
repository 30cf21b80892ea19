"""Findings that somebody accepts: by ``--ignore``, in a file with a reason and an end, or in the object's comment.

- check: unused-index
  object: public.report_idx        # optional; * stands for anything
  reason: the yearly report needs it
  expires: 2027-06-30

    COMMENT ON INDEX report_idx IS 'for the yearly report; dbtune: ignore unused-index'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dbtune.errors import BadFile, UsageError
from dbtune.health.catalogue import catalogue
from dbtune.health.finding import Finding

NAME = "health-ignore.yaml"
"""The file that is read where it is in the current folder."""

_KEYS = {"check", "object", "reason", "expires"}
_COMMENT = re.compile(r"\bdbtune:\s*ignore\b((?:[\s,]+[a-z]+(?:-[a-z]+)+)*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """``object`` is a name or a pattern with ``*``; ``expires`` is the last day, None where it never ends."""

    check: str
    object: str = "*"
    reason: str
    expires: date | None = None

    def covers(self, finding: Finding, today: date) -> bool:
        """Return whether this is a finding that is accepted, and still is."""
        is_over = self.expires is not None and self.expires < today
        return not is_over and self.check == finding.check and fnmatchcase(finding.object, self.object)


def from_option(text: str) -> Ignore:
    """Return what ``--ignore ID[:OBJECT]`` accepts.

    :raises UsageError: there is no check of that id.
    """
    check, colon, name = text.partition(":")
    if check not in _ids() or (colon and not name):
        raise UsageError(f"--ignore {text}: write CHECK or CHECK:OBJECT; --rules lists the checks")
    return Ignore(check=check, object=name or "*", reason="--ignore")


def load(path: Path) -> tuple[Ignore, ...]:
    """Read a file of accepted findings.

    :raises BadFile: it cannot be read, or an entry lacks its check, its reason or its end.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise BadFile(path, "is not YAML", line=mark.line + 1 if mark else None) from None
    if document is None:
        return ()
    if not isinstance(document, list):
        raise BadFile(path, "must be a list of entries, each with check, reason and expires")
    return tuple(_ignore(entry, number, path) for number, entry in enumerate(document, 1))


def _ignore(entry: Any, number: int, path: Path) -> Ignore:
    where = f"entry {number}"
    if not isinstance(entry, dict):
        raise BadFile(path, f"{where} must be a mapping with check, reason and expires")
    if unknown := [key for key in entry if key not in _KEYS]:
        raise BadFile(path, f"{where} has an unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}")
    for key in ("check", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise BadFile(path, f"{where} must have a {key}")
    if entry["check"] not in _ids():
        raise BadFile(path, f"{where} names an unknown check {entry['check']!r}; dbtune health --rules lists them")
    if type(entry.get("expires")) is not date:
        raise BadFile(path, f"{where} must have a date on which it expires, such as 2027-06-30")
    return Ignore(
        check=entry["check"],
        object=str(entry.get("object", "*")),
        reason=entry["reason"].strip(),
        expires=entry["expires"],
    )


def _ids() -> set[str]:
    return {check.id for check in catalogue()}


def in_comment(comment: str | None, check: str) -> bool:
    """Return whether the object's comment accepts that check's findings, or without naming any, those of all."""
    found = _COMMENT.search(comment or "")
    if found is None:
        return False
    named = re.findall(r"[a-z]+(?:-[a-z]+)+", found.group(1))
    return not named or check in named


def accepted(finding: Finding, comment: str | None, ignores: Iterable[Ignore], today: date) -> Finding:
    """Return the finding with the reason why somebody accepts it, if one does."""
    for ignore in ignores:
        if ignore.covers(finding, today):
            until = f" (until {ignore.expires})" if ignore.expires is not None else ""
            return replace(finding, ignored=f"{ignore.reason}{until}")
    return replace(finding, ignored="its comment") if in_comment(comment, finding.check) else finding


def expired(ignores: Sequence[Ignore], today: date) -> list[str]:
    """Return a note for each entry that is over."""
    return [
        f"ignore of {each.check} for {each.object} expired on {each.expires}"
        for each in ignores
        if each.expires is not None and each.expires < today
    ]

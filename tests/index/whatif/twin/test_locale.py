"""In which locale to make a cluster, best first; and with which programs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbtune import config
from dbtune.index.whatif.twin import locale, programs
from dbtune.server import binaries
from dbtune.snapshot.value import Snapshot

C = Snapshot(server_version_num=180000, server_version="18", database="d", taken_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_c_is_everywhere() -> None:
    first = next(locale.choices(C, 13))
    assert {"--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C"} <= set(first.options)
    assert first.warning is None


def test_productions_provider_comes_first_where_the_version_has_it() -> None:
    icu = replace(C, locale_provider="i", locale="de-DE")
    assert "--icu-locale=de-DE" in next(locale.choices(icu, 16)).options
    builtin = replace(C, locale_provider="b", locale="C.UTF-8")
    assert "--builtin-locale=C.UTF-8" in next(locale.choices(builtin, 17)).options
    older = next(locale.choices(builtin, 16))
    assert "--lc-collate=C" in older.options
    assert older.warning is None, "the order is that of bytes all the same"


def test_a_locale_that_is_not_here_is_no_c_for_the_planner() -> None:
    elsewhere = replace(C, collate="xx_XX", ctype="xx_XX")
    choice = next(locale.choices(elsewhere, 18))
    assert choice.warning is not None
    assert "xx_XX" in choice.warning
    if locale._system("C.UTF-8") is not None:
        assert "--lc-collate=C.UTF-8" in choice.options


def test_the_last_choice_works_with_any_encoding() -> None:
    (*_, last) = itertools.islice(locale.choices(replace(C, encoding="EUC_JP", collate="ja_JP", ctype="ja_JP"), 18), 9)
    assert last.options == ("--encoding=UTF8", "--locale=C")
    assert last.warning is not None
    assert "the encoding is UTF8, not EUC_JP" in last.warning


def test_programs_of_the_same_version_are_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = binaries.find()
    assert programs.find(ours.major).major == ours.major
    older = tmp_path / "bin"
    older.mkdir()
    for name in ("initdb", "postgres"):
        (older / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.3'\n")
        (older / name).chmod(0o755)
    monkeypatch.setenv(config.PG_BINDIR_VARIABLE, str(older))
    assert programs.find(9).bindir == older
    monkeypatch.delenv(config.PG_BINDIR_VARIABLE)
    monkeypatch.setenv("PATH", f"{older}:/usr/bin:/bin")
    assert programs.find(9).bindir == older
    assert programs.find(99).major == ours.major, "the embedded one, where there is none"

"""Dockerfiles: stages, forms of CMD and ENTRYPOINT, variables."""

from __future__ import annotations

import pytest

from dbtune.pool.sources import dockerfile
from dbtune.pool.sources.tree import walk
from tests.pool.sources.conftest import Write


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('FROM a\nCMD ["gunicorn", "-w", "2", "app"]\n', ["gunicorn", "-w", "2", "app"]),
        ("FROM a\nCMD gunicorn -w 2 app\n", "gunicorn -w 2 app"),
        ("from a\ncmd gunicorn \\\n  # two\n  -w 2 \\\n  app\n", "gunicorn  -w 2  app"),
        ('FROM a\nENTRYPOINT ["gunicorn"]\nCMD ["-w", "2"]\n', ["gunicorn", "-w", "2"]),
        ('FROM a\nCMD ["-w", "2"]\nENTRYPOINT ["gunicorn"]\n', ["gunicorn", "-w", "2"]),
        ('FROM a\nENTRYPOINT gunicorn app\nCMD ["-w", "2"]\n', "gunicorn app"),  # a shell is handed nothing
        ("FROM a\nCMD one\nCMD two\n", "two"),
        ("FROM a AS base\nCMD one\nFROM b\nCMD two\n", "two"),
        ("FROM a AS base\nCMD one\nFROM base AS last\n", "one"),
        ('FROM a AS base\nCMD ["one"]\nFROM base\nENTRYPOINT ["two"]\n', ["two"]),
        ("FROM --platform=linux/amd64 a AS Base\nCMD one\nFROM base\n", "one"),
        ("FROM a\nHEALTHCHECK CMD curl localhost\nCMD two\n", "two"),
        ('FROM a\nCMD ["gunicorn", \n', '["gunicorn",'),
    ],
)
def test_what_an_image_starts(write: Write, text: str, command: str | list[str]) -> None:
    image = dockerfile.read(walk(write({"Dockerfile": text})), "Dockerfile")
    assert image is not None
    assert image.command == command


def test_its_variables_and_place(write: Write) -> None:
    text = 'FROM a AS base\nENV WEB_CONCURRENCY=3 A="b c"\nENV OLD way of it\nFROM base\nCMD x\n'
    image = dockerfile.read(walk(write({"Dockerfile": text})), "Dockerfile")
    assert image is not None
    told = {name: fact.value for name, fact in image.environment.items()}
    assert told == {"WEB_CONCURRENCY": "3", "A": "b c", "OLD": "way of it"}
    assert (image.environment["A"].source, image.source) == ("Dockerfile:2", "Dockerfile:5")


def test_a_stage_by_its_name(write: Write) -> None:
    tree = walk(write({"Dockerfile": "FROM a AS prod\nCMD one\nFROM a AS dev\nCMD two\n"}))
    image = dockerfile.read(tree, "Dockerfile", "prod")
    assert image is not None
    assert image.command == "one"


@pytest.mark.parametrize(
    "text", ["", "FROM a\n", "hello", "FROM\nENV\n", "FROM a\nENV \\", "CMD\n", "FROM a\nENV A='x\n"]
)
def test_what_says_nothing(write: Write, text: str) -> None:
    assert dockerfile.read(walk(write({"Dockerfile": text})), "Dockerfile") is None

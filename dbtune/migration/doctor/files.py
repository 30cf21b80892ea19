"""The files that Alembic needs before any revision: where they are, and whether they can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dbtune.migration.doctor.finding import Edit, Finding, Fix, Severity
from dbtune.migration.doctor.place import at_line
from dbtune.migration.doctor.settings import Settings, lines

_PARTS = {
    "imports": '${imports if imports else ""}',
    "upgrades": '    ${upgrades if upgrades else "pass"}',
    "downgrades": '    ${downgrades if downgrades else "pass"}',
}


def percents(settings: Settings) -> Iterator[Finding]:
    """Yield the options that cannot be read because of a % that is not doubled."""
    for option in settings.unreadable():
        line = settings.line(option)
        if line is not None:
            name, sign, value = re.split(r"(\s*[=:]\s*)", line.text, maxsplit=1)
            doubled = re.sub(r"(?<!%)((?:%%)*)%(?![%(])", r"\1%%", value)
            if doubled == value:
                doubled = re.sub(r"(?<!%)%\((?!here\))", "%%(", value)
            yield at_line(
                "ini-percent",
                Severity.ERROR,
                line,
                f"a % in {option} stands alone",
                "In an ini file % begins the name of another option. Alembic stops with InterpolationSyntaxError when"
                " it reads this one.",
                "write %% for each %, in a password too",
                [f"{name}{sign}{doubled}"],
            )


def directory(settings: Settings) -> tuple[Path | None, list[Finding]]:
    """Return the script directory, and what is wrong with how it is named."""
    location = settings.option("script_location")
    line = settings.line("script_location")
    if location is None or line is None:
        return None, [_unnamed(settings)] if location is None else []
    path = settings.located(location)
    if path is None or not (path / "env.py").is_file():
        reason = "is not there" if path is None else "has no env.py"
        elsewhere = _suggestion(settings)
        text = f"say where it is{'' if elsewhere else '; alembic init makes one'}"
        there = [_location(line.text, elsewhere)] if elsewhere else None
        return None, [
            at_line(
                "script-location",
                Severity.ERROR,
                line,
                f"the script directory {location} {reason}",
                "Alembic finds neither env.py nor revisions, and stops.",
                text,
                there,
            )
        ]
    found = []
    if ":" not in location and not Path(location).is_absolute() and settings.folder != Path.cwd():
        new = _location(line.text, f"%(here)s/{location}")
        found.append(
            at_line(
                "script-location",
                Severity.INFO,
                line,
                f"the script directory {location} is looked for from the folder that alembic is run in",
                f"It works in {settings.folder} only.",
                "say that it is beside this file",
                [new],
            )
        )
    return path, found


def _location(text: str, value: str) -> str:
    name, sign, old = re.split(r"(\s*[=:]\s*)", text, maxsplit=1)
    return f'{name}{sign}"{value}"' if old.startswith('"') else f"{name}{sign}{value}"


def _unnamed(settings: Settings) -> Finding:
    line = settings.heading()
    where = _suggestion(settings) or "%(here)s/alembic"
    common = {
        "message": "script_location is not set",
        "why": "Alembic does not know where env.py and the revisions are, and stops.",
    }
    if line is None:
        return Finding(id="script-location", severity=Severity.ERROR, file=settings.path, line=None, source=None,
                       fix=Fix(text=f"add a section [{settings.main}] with script_location = {where}"),
                       **common)  # fmt: skip
    value = f'"{where}"' if line.file.suffix == ".toml" else where
    edit = Edit(file=line.file, line=line.number + 1, last=line.number, lines=(f"script_location = {value}",))
    return Finding(id="script-location", severity=Severity.ERROR, file=line.file, line=line.number, source=line.text,
                   fix=Fix(text="say where it is", edits=(edit,)), **common)  # fmt: skip


def _suggestion(settings: Settings) -> str | None:
    """Return the folder near the file that has an env.py of Alembic's, if there is one only."""
    found = [
        path.parent
        for pattern in ("*/env.py", "*/*/env.py")
        for path in settings.folder.glob(pattern)
        if "run_migrations" in "\n".join(lines(path))
    ]
    return f"%(here)s/{found[0].relative_to(settings.folder).as_posix()}" if len(found) == 1 else None


def template(directory: Path) -> Iterator[Finding]:
    """Yield what script.py.mako lacks of what a revision of dbtune's has to be put into."""
    path = directory / "script.py.mako"
    if not path.is_file():
        yield Finding(
            id="template",
            severity=Severity.ERROR,
            file=path,
            line=None,
            source=None,
            message="there is no script.py.mako",
            why="Revisions are made from it, by alembic revision and by dbtune migrate new.",
            fix=Fix(text="copy it from a new environment: alembic init /tmp/new"),
        )
        return
    text = "\n".join(lines(path))
    missing = [name for name in _PARTS if not re.search(rf"\$\{{\s*{name}\b", text)]
    if missing:
        yield Finding(
            id="template",
            severity=Severity.ERROR,
            file=path,
            line=None,
            source=None,
            message=f"script.py.mako has no place for {', '.join(missing)}",
            why="dbtune migrate new makes its revisions from it, and refuses this one. alembic upgrade does not mind.",
            fix=Fix(text="give it lines such as " + " and ".join(_PARTS[name].strip() for name in missing)),
        )

"""The host's Alembic environment: where its revisions are, what its files look like, and what follows what."""

from __future__ import annotations

import ast
import re
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.autogenerate import RevisionContext
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError, asbool

from dbtune.errors import BadFile, UsageError
from dbtune.migration.evidence import Evidence
from dbtune.migration.name import digest
from dbtune.migration.revision import Parts, docstring, render
from dbtune.migration.step import Change

LONGEST_ID = 32
"""Characters that Alembic's version table keeps of a revision's id."""

_DOCSTRING = re.compile(r"\"\"\"\s*\$\{\s*message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A revision: its id, the one before it, None at the base, its text, and its file, None if there is none."""

    revision: str
    down_revision: str | None
    text: str
    path: Path | None


class Project:
    """One Alembic environment. ``config`` is its alembic.ini, or a pyproject.toml that says it all.

    :raises BadFile: there is none.
    """

    def __init__(self, config: Path) -> None:
        beside = config.with_name("pyproject.toml")
        toml = beside if beside.is_file() and "[tool.alembic]" in beside.read_text(encoding="utf-8") else None
        ini = config if config.is_file() and config.suffix != ".toml" else None
        if ini is None and toml is None:
            raise BadFile(config, "no such file; name the project's alembic.ini with --config")
        self.path = config
        self.config = Config(ini, toml_file=toml, cmd_opts=Namespace(quiet=True, x=None))

    def write(
        self,
        changes: Sequence[tuple[Change, Evidence]],
        *,
        head: str | None = None,
        rev_id: str | None = None,
        message: str = "",
        keep: bool = True,
    ) -> list[Written]:
        """Write each change as a revision, one after the other, and return them; unless ``keep``, only return them.

        The first follows ``head``, else the only head there is. ``message`` is the title, else the change's own.
        ``rev_id`` is for one change alone; else ids are made from what a revision does and follows.

        :raises UsageError: there are several heads and ``head`` is None, or Alembic refuses.
        """
        if rev_id is not None and len(changes) > 1:
            raise UsageError(f"--rev-id: these are {len(changes)} revisions, which cannot have one id")
        with translated(self.path), tempfile.TemporaryDirectory() as folder:
            directory = self._directory()
            if not keep:
                _divert(directory, Path(folder))
            written: list[Written] = []
            for change, evidence in changes:
                down_revision = self._head(directory, written[-1].revision if written else head)
                revision = rev_id or digest("\n".join((down_revision or "base", *change.sql())))
                if len(revision) > LONGEST_ID:
                    raise UsageError(f"revision {revision}: longer than the {LONGEST_ID} characters that Alembic keeps")
                if any(each.revision == revision for each in directory.walk_revisions()):
                    raise UsageError(f"{self.path}: there is a revision {revision} already")
                made = self._written(directory, change, evidence, revision, down_revision, message)
                written.append(made if keep else replace(made, path=None))
            return written

    def _written(
        self,
        directory: ScriptDirectory,
        change: Change,
        evidence: Evidence,
        revision: str,
        down_revision: str | None,
        title: str,
    ) -> Written:
        config = self.config
        arguments = {
            "message": title or change.title,
            "rev_id": revision,
            "head": down_revision or "base",
            "sql": False,
            "splice": False,
            "branch_label": None,
            "version_path": None,
            "depends_on": None,
        }
        context = RevisionContext(config, directory, arguments)
        if asbool(config.get_alembic_option("revision_environment")):
            _run_environment(config, directory, context)
        script = (context.generated_revisions or [context._default_revision()])[0]
        revision = script.rev_id or revision
        parts = render(
            change, revision=revision, down_revision=down_revision, evidence=evidence, title=script.message or ""
        )
        slots: dict[str, Any] = {**context.template_args, **_slots(self._template(directory), parts)}
        made = directory.generate_revision(
            revision,
            _message(self._template(directory), parts),
            refresh=True,
            head=script.head,
            splice=script.splice,
            branch_labels=script.branch_label,
            version_path=script.version_path,
            depends_on=script.depends_on,
            **slots,
        )
        assert made is not None  # it is None for names that Alembic does not take as a revision's only
        path = Path(made.path)
        text = path.read_text(encoding="utf-8")
        if not _is_whole(text):
            path.unlink()
            raise BadFile(
                directory.dir,
                "script.py.mako does not put ${imports}, ${upgrades} and ${downgrades} into one file with functions"
                " upgrade() and downgrade(); such a project needs the statements by hand: see --print",
            )
        return Written(revision=revision, down_revision=down_revision, text=text, path=path)

    def _directory(self) -> ScriptDirectory:
        with translated(self.path):
            return ScriptDirectory.from_config(self.config)

    @staticmethod
    def _template(directory: ScriptDirectory) -> str:
        return (Path(directory.dir) / "script.py.mako").read_text(encoding="utf-8")

    def _head(self, directory: ScriptDirectory, head: str | None) -> str | None:
        """Return the id of the revision to follow; None before the first."""
        heads = directory.get_heads()
        if head is None and len(heads) > 1:
            raise UsageError(
                f"{self.path}: there are {len(heads)} heads, {', '.join(sorted(heads))}: say which one to follow with"
                " --head, or join them with alembic merge heads"
            )
        if not heads:
            return None
        found = directory.get_revision(head or "head")
        if found is None or found.revision not in heads:
            raise UsageError(f"{self.path}: {head} is not a head; heads are {', '.join(sorted(heads))}")
        return str(found.revision)


def _message(template: str, parts: Parts) -> str:
    """Return the message: the whole text where it becomes a docstring, else its first line."""
    return docstring(parts.message) if _DOCSTRING.search(template) else " ".join(parts.title.split())


def _slots(template: str, parts: Parts) -> dict[str, str]:
    """Return the template's variables; text that has no docstring to stand in is a comment."""
    imports = parts.imports if re.search(r"^from alembic import .*\bop\b", template, re.M) else _with_op(parts.imports)
    if not _DOCSTRING.search(template):
        imports += "\n\n" + "\n".join(f"# {line}".rstrip() for line in parts.message.splitlines())
    return {
        "imports": f"{imports}\n\n{parts.definitions}",
        "upgrades": parts.upgrade.replace("\n", "\n    "),
        "downgrades": parts.downgrade.replace("\n", "\n    "),
    }


def _with_op(imports: str) -> str:
    return imports.replace("from alembic import context", "from alembic import context, op")


def _is_whole(text: str) -> bool:
    """Return whether the file defines what it uses and its two functions use it."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    functions = {node.name: ast.dump(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    return "run" in functions and all("'run'" in functions.get(name, "") for name in ("upgrade", "downgrade"))


def _divert(directory: ScriptDirectory, folder: Path) -> None:
    """Let the directory write its next file into ``folder``, and run nothing over it."""
    own: Callable[..., Path] = directory._rev_path

    def elsewhere(path: Any, *arguments: Any, **named: Any) -> Path:
        return folder / own(path, *arguments, **named).name

    setattr(directory, "_rev_path", elsewhere)  # noqa: B010  # Alembic has no other way to name a file's folder
    directory.hooks = []


def _run_environment(config: Config, directory: ScriptDirectory, context: RevisionContext) -> None:
    """Run the host's env.py, as ``alembic revision`` does where revision_environment is set."""

    def retrieve(revision: Any, migration: Any) -> list[Any]:
        context.run_no_autogenerate(revision, migration)
        return []

    with EnvironmentContext(
        config, directory, fn=retrieve, as_sql=False, template_args=context.template_args, revision_context=context
    ):
        directory.run_env()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn Alembic's own errors into ours, of one line."""
    try:
        yield
    except (CommandError, RevisionError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error

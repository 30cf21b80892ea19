"""Projects with another env.py, and the fixes of the doctor written into them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dbtune.migration.doctor.examination import examine
from dbtune.migration.doctor.finding import Edit, Finding, Report, Severity, applied
from tests.migration.conftest import Host, Run, make_host

NOWHERE = "postgresql+psycopg2://app:secret@nowhere.invalid/shop"


def project(folder: Path, env: str | None = None, url: str = NOWHERE, template: str = "generic") -> Host:
    """A project with that env.py and no revision."""
    host = make_host(folder / "host", url, template)
    if env is not None:
        (host.folder / "alembic" / "env.py").write_text(env)
    return host


def revision(host: Host, name: str, body: str, *, after: str | None = None, down: str = "pass") -> Path:
    """Write a revision by hand whose upgrade() does that."""
    path = host.folder / "alembic" / "versions" / f"{name}.py"
    path.write_text(
        f"from alembic import op\nimport sqlalchemy as sa\n\nrevision = {name!r}\ndown_revision = {after!r}\n\n\n"
        f"def upgrade():\n    {body}\n\n\ndef downgrade():\n    {down}\n"
    )
    return path


def of(report: Report, id: str) -> Finding:
    """The one finding of that name."""
    (found,) = [each for each in report.findings if each.id == id]
    return found


def errors(host: Host) -> list[Finding]:
    return [each for each in examine(host.ini).findings if each.severity is Severity.ERROR]


def mend(edits: Iterable[Edit]) -> None:
    """Write the lines of a fix into the files."""
    edits = list(edits)
    assert edits, "no lines to write"
    for file in {each.file for each in edits}:
        lines = file.read_text().split("\n")
        file.write_text("\n".join(applied(lines, [each for each in edits if each.file == file])))


def noted(run: Run) -> list[str]:
    """The revisions that the database is noted to be at, in whatever schema that is."""
    schemas = run("SELECT schemaname FROM pg_tables WHERE tablename = 'alembic_version'")
    return [row[0] for (schema,) in schemas for row in run(f'SELECT version_num FROM "{schema}".alembic_version')]

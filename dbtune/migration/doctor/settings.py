"""alembic.ini and pyproject.toml: options as Alembic reads them, and the lines that they stand in."""

from __future__ import annotations

import configparser
import importlib.util
import re
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError

from dbtune.errors import BadFile
from dbtune.migration.project import Project

PLACEHOLDER = "driver://user:pass@localhost/dbname"
"""The URL that ``alembic init`` writes, for somebody to replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a file, counted from 1."""

    file: Path
    number: int
    text: str


class Settings:
    """The options of a project, without anything of it being imported.

    :raises BadFile: the file is missing, or is not what its name says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.config: Config = Project(path).config
            self._ini = self.config.file_config
            self._toml: Mapping[str, Any] = self.config.toml_alembic_config
        except configparser.Error as error:
            number = getattr(error, "lineno", None) or next((n for n, _ in getattr(error, "errors", [])), None)
            raise BadFile(path, f"not an ini file: {error.message.splitlines()[0]}", line=number) from None
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"at line (\d+)", str(error))
            beside = path.with_name("pyproject.toml")
            raise BadFile(beside, f"not TOML: {error}", line=int(place[1]) if place else None) from None
        except CommandError as error:
            raise BadFile(path.with_name("pyproject.toml"), str(error)) from None
        except UnicodeDecodeError:
            raise BadFile(path, "not UTF-8") from None
        except OSError as error:
            raise BadFile(path, f"cannot be read: {error.strerror}") from None
        names = (self.config.config_file_name, self.config._toml_file_path)
        self.files = [Path(name) for name in names if name is not None and Path(name).is_file()]
        self.folder = path.absolute().parent

    @property
    def main(self) -> str:
        """The name of the section that Alembic reads."""
        return self.config.config_ini_section

    def option(self, name: str) -> str | None:
        """Return one of Alembic's own options, which may stand in either file; None where it is not set or not text."""
        try:
            value = self.config.get_alembic_option(name)
        except (configparser.Error, CommandError, ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, str) else None

    def is_set(self, name: str) -> bool:
        """Return whether an option of Alembic's own is true."""
        try:
            return self.config.get_alembic_boolean_option(name)
        except (configparser.Error, CommandError):
            return False

    def texts(self, name: str) -> list[str]:
        """Return an option that lists folders."""
        method = {"version_locations": "get_version_locations_list", "prepend_sys_path": "get_prepend_sys_paths_list"}
        try:
            with warnings.catch_warnings(action="ignore"):  # a separator that is not said: Alembic says so itself
                found = getattr(self.config, method[name])()
        except (configparser.Error, CommandError, ValueError, KeyError, TypeError):
            return []
        return [text for text in found or [] if isinstance(text, str)]

    def section(self, name: str) -> dict[str, str]:
        """Return the options of a section of the ini file, as ``config.get_section()`` does."""
        if not self._ini.has_section(name):
            return {}
        found: dict[str, str] = {}
        for option in self._ini.options(name):
            try:
                found[option] = self._ini.get(name, option)
            except configparser.Error:
                continue
        return found

    def unreadable(self) -> list[str]:
        """Return the options of the main section whose value has a % that is not doubled."""
        if not self._ini.has_section(self.main):
            return []
        found = []
        for option in self._ini.options(self.main):
            try:
                self._ini.get(self.main, option)
            except configparser.InterpolationError:
                found.append(option)
        return found

    def line(self, option: str, section: str | None = None) -> Line | None:
        """Return the line that sets an option, of the ini file before the other."""
        for file in self.files:
            wanted = f"[{section or self.main}]" if file.suffix != ".toml" else "[tool.alembic]"
            inside = False
            for number, text in enumerate(lines(file), 1):
                if text.startswith("["):
                    inside = text.strip() == wanted
                if inside and re.match(rf"{re.escape(option)}\s*[=:]", text, re.I):
                    return Line(file=file, number=number, text=text)
        return None

    def heading(self) -> Line | None:
        """Return the line that opens Alembic's section."""
        for file in self.files:
            for number, text in enumerate(lines(file), 1):
                if text.strip() in (f"[{self.main}]", "[tool.alembic]"):
                    return Line(file=file, number=number, text=text)
        return None

    def located(self, location: str) -> Path | None:
        """Return the folder that an option names, a path or ``package:folder``, if there is one. Nothing is imported.

        A relative path counts from the working folder, as with Alembic; where there is none, from the ini's folder.
        """
        if ":" in location and not Path(location).is_absolute():
            package, _, below = location.partition(":")
            root = self.package(package)
            return root / below if root is not None and (root / below).is_dir() else None
        return next((path for path in (Path(location), self.folder / location) if path.is_dir()), None)

    def roots(self) -> list[Path]:
        """Return the folders that the project's modules are imported from."""
        named = [base / text for text in self.texts("prepend_sys_path") for base in (Path(), self.folder)]
        return list(dict.fromkeys(path.absolute() for path in [*named, self.folder, Path()] if path.is_dir()))

    def package(self, name: str) -> Path | None:
        """Return the folder of a package, of the project's or an installed one."""
        first, *others = name.split(".")
        for root in self.roots():
            if (root.joinpath(first, *others)).is_dir():
                return root.joinpath(first, *others)
        try:
            spec = importlib.util.find_spec(first)  # of a name without dots: nothing is imported
        except (ImportError, ValueError):
            return None
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        return next((Path(each).joinpath(*others) for each in places if Path(each).joinpath(*others).is_dir()), None)


def lines(file: Path) -> list[str]:
    """Return the lines of a file, without what is not UTF-8."""
    return file.read_text(encoding="utf-8", errors="replace").splitlines()

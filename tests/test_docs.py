"""The documents are true where a program can tell."""

import re
import tomllib
from pathlib import Path

import pytest

from lifestream import __version__

TOP = Path(__file__).parent.parent
DOCUMENTS = sorted([*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("hooks/*.md")])
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_package_the_project_and_the_changelog_agree_on_the_version() -> None:
    newest = re.search(r"^## \[([\d.]+)\]", (TOP / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == PROJECT["project"]["version"] == __version__


def test_every_dependency_is_named_with_its_reason() -> None:
    named = (TOP / "docs/dependencies.md").read_text().lower()
    groups = PROJECT["dependency-groups"]
    asked = [*PROJECT["project"]["dependencies"], *groups["build"], *groups["dev"]]
    names = {re.split(r"[\[<>=;\s]", dependency)[0] for dependency in asked}
    assert {name for name in names if name.replace("-", " ") not in named and name not in named} == set()


def test_every_file_that_the_flow_names_is_there() -> None:
    paths = re.findall(r"`([a-z_/]+\.(?:py|js))`", (TOP / "docs/flow.md").read_text())
    there = {path for path in paths if (TOP / "lifestream" / path).exists() or (TOP / path).exists()}
    assert set(paths) - there == set()

"""The documents point at things that exist, and show the commands that there are."""

import re
from pathlib import Path

import pytest

from supervisor.cli.commands import parser
from tests.bed.engines import REPOSITORY

PAGES = sorted(
    path.relative_to(REPOSITORY)
    for path in [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / "benchmarks").glob("*.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page names a file of the repository."""
    text = (REPOSITORY / page).read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    broken = [link for link in links if link and not (REPOSITORY / page).parent.joinpath(link).exists()]
    assert broken == []


def test_the_readme_names_every_command() -> None:
    """A command that nobody is told of is as good as not there."""
    text = (REPOSITORY / "CHANGELOG.md").read_text() + (REPOSITORY / "README.md").read_text()
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    assert [command for command in commands if f"`{command}" not in text and f"{command}`" not in text] == []

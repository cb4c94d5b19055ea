"""The documents point at things that exist, and show the commands that there are."""

import re
from pathlib import Path

import pytest

from supervisor.cli.commands import parser
from tests.bed.engines import REPOSITORY

PAGES = sorted(
    path.relative_to(REPOSITORY)
    for path in REPOSITORY.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
)
ARCHITECTURE = (REPOSITORY / "ARCHITECTURE.md").read_text()
LONGEST = 12 * 1024
"""Bytes of ARCHITECTURE.md: what a new maintainer reads in ten minutes."""
PATH = re.compile(r"`((?:units|supervisor|hooks|metrics|tests|script|docs|benchmarks|packaging)/[\w./-]*)`")
HISTORY = {Path("CHANGELOG.md")}
"""Names what was there once."""
DECISIONS = "docs/architecture/decisions"
PUTS = re.compile(r"inbox\.put\(")
CHANGES = re.compile(
    r"engine\.(?:load|create|start|stop|restart|signal|remove|rename|connect|pull|exec_create|exec_run)\("
    r"|\bos\.(?:kill|killpg|posix_spawnp?|fork|exec\w+|system)\(|pidfd_send_signal\(|\.setns\("
    r"|\bsubprocess\.(?:run|Popen|check_\w+)\(|create_subprocess_\w+\(|\.subprocess_exec\("
)
"""Calls that change the engine or the host, as this code spells them."""


def anchors(page: Path) -> set[str]:
    """Of headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head) for head in heads)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page names a file of the repository, and a heading that is in it."""
    text = (REPOSITORY / page).read_text()
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = (REPOSITORY / page).parent / file if file else REPOSITORY / page
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", sorted(set(PAGES) - HISTORY), ids=str)
def test_paths_name_files(page: Path) -> None:
    """A module or a folder in backticks is there."""
    named = PATH.findall((REPOSITORY / page).read_text())
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_the_first_page_is_short() -> None:
    assert len(ARCHITECTURE.encode()) <= LONGEST


def test_every_page_can_be_found() -> None:
    """From README.md, by links."""
    found, todo = set[Path](), [REPOSITORY / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        links = (link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link)
        todo += [page.parent / link for link in links if link]
    assert [page for page in PAGES if (REPOSITORY / page).resolve() not in found] == []


def section(title: str) -> set[str]:
    """Paths that a section of ARCHITECTURE.md names."""
    text = ARCHITECTURE.split(f"## {title}\n")[1].split("\n## ")[0]
    return set(PATH.findall(text))


def modules_with(pattern: re.Pattern[str]) -> set[str]:
    return {
        str(path.relative_to(REPOSITORY))
        for tree in ("units", "hooks", "metrics", "supervisor")
        for path in (REPOSITORY / tree).rglob("*.py")
        if pattern.search(path.read_text())
    }


def test_the_first_page_lists_where_the_world_comes_in() -> None:
    """Every module that puts a fact into the inbox, and no other."""
    assert section("Where the world comes in") - {"supervisor/runtime/loop.py"} == modules_with(PUTS)


def test_the_first_page_lists_where_it_is_acted_on() -> None:
    """Every module with a call that changes the engine or the host."""
    assert modules_with(CHANGES) - section("Where it is acted on") == set()


def test_the_first_page_lists_all_rooms() -> None:
    named = section("The rooms")
    rooms = {f"supervisor/{path.parent.name}/" for path in REPOSITORY.glob("supervisor/*/__init__.py")}
    assert rooms - named == set()


def test_decisions_are_in_their_index() -> None:
    """By number without a gap; what is superseded says by what."""
    index = (REPOSITORY / DECISIONS / "README.md").read_text()
    files = sorted(path for path in (REPOSITORY / DECISIONS).glob("*.md") if path.name != "README.md")
    assert re.findall(r"\((\d{4}-[\w-]+\.md)\)", index) == [path.name for path in files]
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for path in files:
        text = path.read_text()
        assert re.search(r"^20\d\d-\d\d-\d\d\.", text, re.MULTILINE), path
        parts = re.findall(r"^\*\*(Context|Choice|What loses)\.\*\*", text, re.MULTILINE)
        assert parts == ["Context", "Choice", "What loses"], path


def test_the_readme_names_every_command() -> None:
    """A command that nobody is told of is as good as not there."""
    text = (REPOSITORY / "CHANGELOG.md").read_text() + (REPOSITORY / "README.md").read_text()
    commands = next(action.choices for action in parser()._actions if action.dest == "command")
    assert commands is not None
    assert [command for command in commands if f"`{command}" not in text and f"{command}`" not in text] == []

"""The tutorial about hooks shows code that works: its own tests pass, and what is to be broken breaks."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.bed.engines import REPOSITORY


def code_of(page: Path) -> tuple[str, str]:
    """Its Python, in the order in which a reader copies it: the hook's blocks, and those of the test."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return "\n\n".join(blocks[0::2]), "\n\n".join(blocks[1::2])


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(REPOSITORY), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_a_reader_copies_passes_its_own_tests(tmp_path: Path) -> None:
    hook, test = code_of(REPOSITORY / "docs/tutorial/first-hook.md")
    (tmp_path / "falls.py").write_text(hook)
    (tmp_path / "test_falls.py").write_text(test)
    good = run(tmp_path)
    assert "3 passed" in good.stdout, good.stdout
    (tmp_path / "falls.py").write_text(hook.replace('"unit.died", unit="console"', '"unit.died", unit="web"'))
    bad = run(tmp_path)
    assert "2 failed, 1 passed" in bad.stdout, bad.stdout

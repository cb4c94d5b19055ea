"""Prometheus's own tool takes the rules, the configuration, and the page."""

import json
import subprocess
from pathlib import Path

from script import dashboard
from tests.pure.test_exposition import body, busy
from tests.pure.test_rules import PROMETHEUS, TESTS, filled_in


def promtool(*arguments: str | Path, said: str = "", at: Path = PROMETHEUS) -> str:
    """What it prints; it must find nothing wrong."""
    ran = subprocess.run(["promtool", *arguments], cwd=at, input=said, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_promtool_takes_rules_and_configuration() -> None:
    """Both, and the rules' tests pass."""
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", TESTS.name)


def test_promtool_likes_the_page() -> None:
    """Names, help and types as they should be: not a word of it."""
    assert promtool("check", "metrics", said=body(busy("console", "ntp").metrics)) == ""


def test_promtool_takes_what_the_dashboard_asks_for(tmp_path: Path) -> None:
    """As rules that would record it."""
    rules = [
        {"record": f"dashboard:{number}", "expr": filled_in(expression)}
        for number, expression in enumerate(dashboard.expressions())
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", "rules.yml", at=tmp_path)

"""A host boots with its configuration, else the last good one, else without what is wrong; each with its reason."""

from pathlib import Path

import pytest

from supervisor.config.loader import boot_settings, strict_settings
from supervisor.config.settings import Settings
from supervisor.config.tree import ConfigError
from units.spec import USER_DOCKER

GOOD = """\
#cloud-config
rancher:
  docker: {}
  services:
    console: {image: c}
    web: {image: w}
    db: {image: d}
"""
BAD = {
    "unknown key": ("    extra: {imagee: x, image: y}\n", {"extra"}),
    "no such unit": (
        "    extra: {image: y, volumes_from: [gone]}\n    taker: {image: y, links: [extra]}\n",
        {"extra", "taker"},
    ),
    "missing env_file": ("    extra: {image: y, env_file: /no/such}\n", {"extra"}),
    "cycle": ("    extra: {image: y, links: [other]}\n    other: {image: y, links: [extra]}\n", {"extra", "other"}),
    "written twice": ("    extra: {image: y, image: z}\n", {"extra"}),
    "reserved name": ("    system-docker: {image: y}\n", {"system-docker"}),
    "no service at all": ("    extra: 3\n", {"extra"}),
    "shared container": ("    extra: {image: y, container_name: web}\n", {"extra"}),
    "shared console": ("    extra: {image: y, labels: {io.rancher.os.console: default}}\n", {"extra"}),
}


def names(settings: Settings) -> set[str]:
    return {spec.name for spec in settings.units}


@pytest.mark.parametrize("name", BAD)
def test_without_a_good_one_the_host_boots_without_what_is_wrong(tmp_path: Path, name: str) -> None:
    """What is wrong, and what cannot be without it, is named; all others are there."""
    text, wrong = BAD[name]
    file = tmp_path / "c.yml"
    file.write_text(GOOD + text)
    with pytest.raises(ConfigError):
        boot_settings([tmp_path / "none.yml"], "", tmp_path / "last")
    if name not in {"no such unit", "cycle"}:  # Links are looked at apart.
        with pytest.raises(ConfigError):
            strict_settings([file], "", None)
    found = boot_settings([file], "", tmp_path / "last")
    assert names(found.settings) == {"console", "web", "db", USER_DOCKER}
    assert "the host runs without " in found.said
    assert all(one in found.said for one in wrong)
    assert not (tmp_path / "last").exists()


@pytest.mark.parametrize("text", [*(GOOD + text for text, _ in BAD.values()), "rancher: [", "- a\n", "\0"])
def test_the_last_good_one_is_in_force_while_the_present_one_is_refused(tmp_path: Path, text: str) -> None:
    """Also with its env_file as it was then, and from a directory that is gone."""
    file, env, last = tmp_path / "c.yml", tmp_path / "env", tmp_path / "state" / "last"
    env.write_text("A=1\n")
    file.write_text(GOOD + "    more: {image: m, env_file: env}\n")
    good = boot_settings([file], "rancher.console=default", last)
    assert good.said == ""
    assert "more" in names(good.settings)
    env.unlink()
    file.write_text(text)
    for paths in ([file], [tmp_path / "none.yml"]):
        found = boot_settings(paths, "", last)
        assert found.settings == good.settings
        assert found.said.startswith("the configuration is refused (")
        assert found.said.endswith("; the host runs with the last good one")


def test_a_good_one_replaces_the_last_one(tmp_path: Path) -> None:
    """At a boot and at a reload; a refused one does not."""
    file, last = tmp_path / "c.yml", tmp_path / "last"
    file.write_text(GOOD)
    strict_settings([file], "", last)
    file.write_text(GOOD + "    more: {image: m}\n")
    strict_settings([file], "", last)
    file.write_text(GOOD + "    more: {image: m, links: [gone]}\n")
    strict_settings([file], "", last)
    assert names(boot_settings([file], "", last).settings) == {"console", "web", "db", "more", USER_DOCKER}


def test_a_wrong_user_docker_is_left_out_as_a_whole(tmp_path: Path) -> None:
    """With a part of its keys it might come up over another data root."""
    file = tmp_path / "c.yml"
    file.write_text(GOOD.replace("docker: {}", "docker: {args: [--data-root, /mine], nonsense: 1}"))
    found = boot_settings([file], "", tmp_path / "last")
    assert names(found.settings) == {"console", "web", "db"}
    assert "without rancher.docker" in found.said


def test_a_host_that_had_a_console_keeps_its_container(tmp_path: Path) -> None:
    """Its definition is left out; what ran under that name is used as it is."""
    file = tmp_path / "c.yml"
    file.write_text(GOOD.replace("console: {image: c}", "console: {image: c, nonsense: 1}"))
    found = boot_settings([file], "", tmp_path / "last")
    (console,) = (spec for spec in found.settings.units if spec.name == "console")
    assert (console.variant, console.image) == ("default", "")


@pytest.mark.parametrize("text", ["rancher: [", "rancher: 3\n", "rancher: {services: 3}\n", "a: {b: c}\n"])
def test_where_nothing_can_be_read_the_engine_comes_up_alone(tmp_path: Path, text: str) -> None:
    """And says so."""
    file = tmp_path / "c.yml"
    file.write_text(text)
    found = boot_settings([file], "", tmp_path / "last")
    assert names(found.settings) == set()
    assert found.said

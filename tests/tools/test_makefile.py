import os
import re
import shutil
import subprocess

import pytest

from tools.places import CHECKOUT

MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))


def made(*arguments: str) -> str:
    """What make prints; as a person calls it, also where these tests run under ``make test``."""
    ours = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    done = subprocess.run(
        ["make", *arguments], cwd=CHECKOUT, env=ours, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_lists_every_target_with_a_line():
    lines = {line.split()[1]: line.split(maxsplit=2)[2] for line in made("help").splitlines()}
    assert lines.keys() == TARGETS
    assert all(len(text) > 10 for text in lines.values())


def test_what_people_are_promised_is_there():
    assert {"install", "demo", "test", "lint", "up", "down", "airflow", "clean", "help"} <= TARGETS


def test_help_is_what_plain_make_does():
    assert made() == made("help")


def test_no_target_is_taken_for_a_file():
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == TARGETS


def test_ci_runs_what_people_run():
    script = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make lint" in script
    assert "make test" in script


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-bench.txt"])
def test_requirements_are_pinned_and_fit_every_build_of_torch(name):
    lines = (CHECKOUT / name).read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins


# Says what it was asked to do, and does nothing; its exit code is in a file.
PYTHON = """#!/bin/sh
printf '%s\\n' "shop=$RECSYS_SHOP" "$*"
exit "$(cat exit_code)"
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout, in a folder of an awkward name, whose Python only listens."""
    folder = tmp_path / "check out"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in (".venv-bench", ".recsys", ".airflow", ".airflow-postgres", "examples/a shop/.recsys"):
        (folder / name).mkdir(parents=True)
    shutil.copy(CHECKOUT / "Makefile", folder)
    (folder / "requirements.txt").touch()
    (folder / "exit_code").write_text("0")
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    (folder / ".venv" / ".installed").touch()
    return folder


def make(checkout, *arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "RECSYS_SHOP"}
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shop", ["my shop/shop.yaml", "~/shop.yaml", "/a/b c/shop.yaml"])
def test_the_name_of_a_shop_reaches_the_tools_as_it_was_given(checkout, shop):
    assert f"shop={shop}\n" in make(checkout, "up", f"SHOP={shop}").stdout
    assert f"shop={shop}\n" in make(checkout, "up", RECSYS_SHOP=shop).stdout


def test_without_a_shop_it_is_the_demo_s(checkout):
    shop = "examples/complete_journey/shop.yaml"
    assert f"shop={shop}\n" in make(checkout, "up").stdout
    assert (CHECKOUT / shop).is_file()


def test_clean_stops_the_servers_and_leaves_nothing(checkout):
    done = make(checkout, "clean")
    assert done.returncode == 0
    assert "-m tools.embedded down --all" in done.stdout
    left = {path.relative_to(checkout).as_posix() for path in checkout.rglob("*")}
    assert left == {"Makefile", "requirements.txt", "exit_code", "examples", "examples/a shop"}


def test_clean_without_an_installation_has_nothing_to_stop(checkout):
    shutil.rmtree(checkout / ".venv")
    assert make(checkout, "clean").returncode == 0
    assert not (checkout / ".recsys").exists()


def test_clean_deletes_nothing_under_servers_that_it_could_not_stop(checkout):
    (checkout / "exit_code").write_text("3")
    assert make(checkout, "clean").returncode != 0
    assert (checkout / ".recsys").is_dir()
    assert (checkout / ".airflow-postgres").is_dir()

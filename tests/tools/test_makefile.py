import re
import subprocess

from tools.places import CHECKOUT

MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))


def made(*arguments: str) -> str:
    done = subprocess.run(["make", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True)
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


def test_requirements_are_pinned_and_fit_every_build_of_torch():
    lines = (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins

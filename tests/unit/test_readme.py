"""What README shows is what the program does: its commands run here, and its files are read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from controller.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAM = ".venv/bin/wijkstroom "
HALF_A_DIGIT = 0.005
"""README rounds to two decimals."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the examples where README has them; commands run in it."""
    shutil.copytree(ROOT / "deploy" / "examples", tmp_path / "deploy" / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(beginning: str) -> list[str]:
    """The arguments of README's commands of the program that begin so."""
    lines = [line.strip() for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    starts = f"$ {PROGRAM}{beginning}"
    return [line.removeprefix(f"$ {PROGRAM}") for line in lines if line.startswith(starts)]


def run(command: str) -> Result:
    """One command, as printed."""
    return CliRunner().invoke(app, shlex.split(command, comments=True))


def differences(shown: Any, real: Any, place: str = "") -> list[str]:
    """Where an extract of a file, rounded, is not what the file says; dicts may leave names out."""
    match shown:
        case dict():
            return [
                text
                for name, value in shown.items()
                for text in (
                    differences(value, real[name], f"{place}.{name}") if name in real else [f"{place}.{name}"]
                )
            ]
        case list():
            if len(shown) != len(real):
                return [place]
            return [
                text
                for i, (one, other) in enumerate(zip(shown, real, strict=True))
                for text in differences(one, other, f"{place}[{i}]")
            ]
        case float():
            return [] if abs(shown - real) <= HALF_A_DIGIT + 1e-3 else [f"{place}: {real}"]
        case _:
            return [] if shown == real else [f"{place}: {real!r}"]


@pytest.mark.parametrize(
    ("command", "written"), [("plan ", "plan.json"), ("clear ", "result.json"), ("settle ", "result.json")]
)
def test_files_that_readme_shows_are_what_the_commands_write(
    folder: Path, command: str, written: str
) -> None:
    """Plan, clear and settle, as printed, write what README's extract shows."""
    (line,) = commands(command)
    done = run(line)
    assert (done.exit_code, done.output) == (0, "")
    after = README.split(line, 1)[1]
    extract = re.search(r"^```json\n(.*?)^```$", after, re.MULTILINE | re.DOTALL)
    assert extract is not None
    assert differences(json.loads(extract[1]), json.loads((folder / written).read_text())) == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["check ", "verify "])
def test_commands_print_what_readme_shows(command: str) -> None:
    """The first site file is accepted, and the proof of a demo verified, in the words that README prints."""
    (line,) = commands(command)
    done = run(line)
    assert done.exit_code == 0
    assert f"$ {PROGRAM}{line}\n{done.output}" in README


def test_tokens_are_made_as_readme_shows(folder: Path) -> None:
    """Each of README's commands gives one token, and never the same; what was copied is a whole site."""
    (copied,) = re.findall(r"^\$ cp (.+) my-site/$", README, re.MULTILINE)
    (folder / "my-site").mkdir()
    for name in copied.split():
        shutil.copy(folder / name, folder / "my-site")
    (site,) = (line.removeprefix("run ") for line in commands("run "))
    assert run(f"check {site}").exit_code == 0
    lines = commands("token create ")
    tokens = [run(line) for line in lines]
    assert [done.exit_code for done in tokens] == [0, 0]
    made = {done.output.strip() for done in tokens}
    assert len(made) == len(lines)
    assert all(len(token) == len("ees-xetIsom3Ey3E45pGRVMuR3d7IWSUSlbYsfNJS1I") for token in made)


def test_options_that_readme_shows_exist() -> None:
    """Every option of a demo in README is one that the program has."""
    shown = set(re.findall(r"(?<= )--[a-z]+", " ".join([*commands("demo "), *demo_arguments()])))
    help_text = CliRunner().invoke(app, ["demo", "--help"], env={"COLUMNS": "200"}).output
    assert shown
    assert [option for option in sorted(shown) if option not in help_text] == []


def demo_arguments() -> list[str]:
    """What README hands to the demo through make."""
    return [f" {arguments}" for arguments in re.findall(r'DEMO="([^"]*)"', README)]


def test_files_that_readme_links_to_exist() -> None:
    """No link and no picture leads nowhere."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_decision_records_name_checks_that_exist() -> None:
    """Every test and every contract that a decision record names is there."""
    records = sorted((ROOT / "deploy" / "decisions").glob("*.md"))
    text = " ".join(" ".join(record.read_text(encoding="utf-8").split()) for record in records)
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    paths = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []
    tests = " ".join((ROOT / path).read_text(encoding="utf-8") for path in paths)
    names = set(re.findall(r"`(test_\w+)`", text))
    assert [name for name in sorted(names) if f"def {name}(" not in tests] == []
    named = [
        name
        for part in re.findall(r"Contracts? (\"[^\"]+\"(?: and \"[^\"]+\")?)", text)
        for name in re.findall(r'"([^"]+)"', part)
    ]
    assert named
    assert [name for name in named if f'name = "{name}"' not in contracts] == []

"""scripts/<command>.sh: found and started from anywhere, whatever the shell's surroundings."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COMMANDS = (
    *("backup", "config", "deploy", "redrive-dlq", "restore"),
    *("resync", "rollback", "validate"),
)
SCRIPTS = [f"scripts/{name}.sh" for name in COMMANDS]


def run(
    *command: str | Path, folder: Path = REPOSITORY, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    """What a user has, in a folder with a space in its name, and without a virtual environment."""
    folder = tmp_path / "a b"
    shutil.copytree(
        REPOSITORY / "scripts",
        folder / "scripts",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (folder / "functions").symlink_to(REPOSITORY / "functions")
    shutil.copyfile(REPOSITORY / "pyproject.toml", folder / "pyproject.toml")
    return folder


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    """Each command's help has examples of that very command."""
    told = run("bash", script, "--help")

    assert (0, "") == (told.returncode, told.stderr)
    assert f"usage: {script} " in told.stdout
    assert f"examples:\n  {script} " in told.stdout
    assert "exit codes:" in told.stdout


@pytest.mark.case("E20")
def test_symlinks(tmp_path: Path) -> None:
    """Through links to links, relative ones too, from another folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "scripts").symlink_to(REPOSITORY / "scripts")
    (tmp_path / "bin/first").symlink_to("../scripts/resync.sh")
    (tmp_path / "bin/second").symlink_to(tmp_path / "bin/first")

    told = run(tmp_path / "bin/second", "--help", folder=tmp_path)

    assert (0, "") == (told.returncode, told.stderr)


@pytest.mark.case("E20")
def test_spaces_and_debug(copy: Path) -> None:
    """DEBUG, which other tools set, changes no result; nothing is written beside the code."""
    python = shutil.which("python") or ""
    told = run("bash", copy / "scripts/resync.sh", "--help", DEBUG="1", PYTHON=python)

    assert (0, "") == (told.returncode, told.stderr)
    assert [] == list((copy / "scripts").rglob("__pycache__"))


@pytest.mark.case("E20")
def test_a_value_after_an_equals_sign() -> None:
    """As most programs take it."""
    told = run("bash", "scripts/resync.sh", "--environment=prod", "--help")

    assert (0, "") == (told.returncode, told.stderr)


@pytest.mark.case("E20")
@pytest.mark.parametrize("files", ["resync.sh", "*.sh"])
def test_windows_line_ends(copy: Path, files: str) -> None:
    """Where they do harm, they are named."""
    for file in (copy / "scripts").rglob(files):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    told = run("bash", copy / "scripts/resync.sh", "--help", PYTHON=shutil.which("python") or "")

    if files == "*.sh":
        assert 1 == told.returncode
        assert told.stderr.startswith("error: scripts/ has Windows line ends: git config core.")
    else:
        assert (0, "") == (told.returncode, told.stderr)


@pytest.mark.case("E20")
def test_modules_of_the_users_folder(tmp_path: Path) -> None:
    """A file of the user's is never taken for one of ours."""
    for name in ("json", "rich", "operate"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')")

    told = run("bash", REPOSITORY / "scripts/resync.sh", "--help", folder=tmp_path)

    assert (0, "") == (told.returncode, told.stderr)


def test_every_locale(tmp_path: Path) -> None:
    """Names of accounts and contacts are UTF-8 wherever they go, as the commands read them."""
    config = tmp_path / "config.json"
    config.write_text('{"contact_types": ["billing"], "Jürgen 連絡": 1}')
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    told = run("bash", "scripts/config.sh", "validate", config, **latin)

    assert (1, "") == (told.returncode, told.stdout)
    assert "Jürgen 連絡: unknown key" in told.stderr


def test_no_python(copy: Path, tmp_path: Path) -> None:
    """Where no environment can be made, a plain message says what to install."""
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "readlink", "grep", "cat", "cksum", "rm"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")

    told = run("bash", copy / "scripts/resync.sh", "--help", PATH=str(tmp_path / "bin"))

    assert 1 == told.returncode
    assert told.stderr.startswith("error: no Python 3.11 or later with venv and ensurepip among: ")

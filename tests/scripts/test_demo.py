"""The demo and the environments it makes: `scripts/demo.sh`, `scripts/demo` and `lib/common.sh`."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo import view as demo_view
from demo.picture import picture
from demo.report import PAGE
from rich.console import Console

REPOSITORY = Path(__file__).parents[2]
COMMON = REPOSITORY / "scripts/lib/common.sh"
EVENTS = REPOSITORY / "tests/events"
CHANGE = EVENTS / "put-alternate-contact.json"

Result = subprocess.CompletedProcess[str]

GOOD = f'exec "{sys.executable}" "$@"'
TOO_OLD = (
    f'exec "{sys.executable}" -c '
    "'import sys; sys.version_info = (3, 10, 14); exec(sys.stdin.read())'"
)
BROKEN_SHIM = 'echo "pyenv: python: command not found" >&2; exit 127'


@dataclass(frozen=True)
class Shell:
    """Runs bash with a PATH of its own, on which are only what is added and a few tools."""

    folder: Path

    def add(self, name: str, script: str) -> Path:
        return write_script(self.folder / name, script)

    def run(self, script: str, **environment: str) -> Result:
        return subprocess.run(
            [shutil.which("bash") or "bash", "-c", f'set -euo pipefail; . "{COMMON}"; {script}'],
            env={"PATH": str(self.folder), **environment},
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture(name="shell")
def _shell(tmp_path: Path) -> Shell:
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("cat", "cksum", "dirname", "mkdir", "rm"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    return Shell(folder)


def write_script(file: Path, script: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


class TestFindPython:
    def test_skips_unusable(self, shell: Shell) -> None:
        """A shim without its version and a Python that is too old are passed over."""
        shell.add("python3.13", BROKEN_SHIM)
        shell.add("python3.12", TOO_OLD)
        shell.add("python3", GOOD)

        result = shell.run("find_python")

        assert (0, sys.executable, "") == (result.returncode, result.stdout.strip(), result.stderr)

    @pytest.mark.parametrize(
        ("on_path", "named", "told"),
        [(BROKEN_SHIM, sys.executable, ""), (GOOD, "/nowhere/python", "PYTHON=/nowhere/python")],
    )
    def test_named(self, shell: Shell, on_path: str, named: str, told: str) -> None:
        """PYTHON comes before what is on PATH; one that does not serve is told of."""
        shell.add("python3", on_path)

        result = shell.run("find_python", PYTHON=named)

        assert (0, sys.executable) == (result.returncode, result.stdout.strip())
        assert told in result.stderr

    @pytest.mark.parametrize("script", [None, TOO_OLD, BROKEN_SHIM])
    def test_none(self, shell: Shell, script: str | None) -> None:
        """Without a usable Python there is an error that says what is needed."""
        if script:
            shell.add("python3", script)

        result = shell.run('python=$(find_python); echo "went on"')

        assert (1, "") == (result.returncode, result.stdout)
        assert "no Python 3.11 or later" in result.stderr


class TestEnsureEnvironment:
    def test_once(self, shell: Shell, tmp_path: Path) -> None:
        """Packages are installed once for the same files and requirements, and for others again."""
        log = environment_with_pip(tmp_path / "venv", "exit 0")

        first = shell.run(f"ensure_environment {tmp_path}/venv --group dev")
        second = shell.run(f"ensure_environment {tmp_path}/venv --group dev")

        assert [0, 0] == [first.returncode, second.returncode]
        installs = log.read_text().splitlines()
        assert 2 == len(installs)
        assert "pip==" in installs[0]
        assert installs[1].endswith("--group dev")
        assert "" == second.stderr
        shell.run(f"ensure_environment {tmp_path}/venv --group other")
        assert log.read_text().splitlines()[-1].endswith("--group other")

    def test_failure(self, shell: Shell, tmp_path: Path) -> None:
        """What could not be installed is an error, and is tried again."""
        log = environment_with_pip(tmp_path / "venv", "exit 1")

        first = shell.run(f'ensure_environment {tmp_path}/venv --group dev; echo "went on"')
        second = shell.run(f"ensure_environment {tmp_path}/venv --group dev")

        assert [1, 1] == [first.returncode, second.returncode]
        assert "" == first.stdout
        assert "pip could not install" in first.stderr
        assert 2 == len(log.read_text().splitlines())

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_stopped(self, tmp_path: Path, number: signal.Signals) -> None:
        """A signal to the script ends what it runs, and the script says by which it ended."""
        script = f'. "{COMMON}"; run_to_end sh -c \'echo $$ >"{tmp_path}/pid"; exec sleep 30\''
        with subprocess.Popen(["bash", "-euc", script]) as bash:
            pid = int(wait_for_text(tmp_path / "pid"))
            bash.send_signal(number)
            code = bash.wait(10)

        assert 128 + number == code
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def environment_with_pip(folder: Path, pip: str) -> Path:
    """Make an environment whose pip only writes its arguments to the file returned."""
    log = folder / "pip.log"
    record = f'if [ "$1" = -m ]; then echo "$@" >>"{log}"; {pip}; fi'
    write_script(folder / "bin/python", f"{record}\n{GOOD}")
    return log


def wait_for_text(file: Path) -> str:
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return file.read_text()


def demo_sh(*options: str) -> Result:
    return subprocess.run(
        ["bash", REPOSITORY / "scripts/demo.sh", *options],
        env={**os.environ, "PYTHON": sys.executable},
        check=False,
        capture_output=True,
        text=True,
    )


class TestOptions:
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, option: str) -> None:
        """Help is an answer, not an error."""
        result = demo_sh(option)

        assert (0, "") == (result.returncode, result.stderr)
        assert "--accounts N" in result.stdout

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (["--bogus"], "--bogus"),
            (["--acc", "9"], "--acc"),
            (["left-over"], "left-over"),
            (["--accounts"], "expected one argument"),
            (["--accounts", "5"], "a number from 6"),
            (["--accounts", "many"], "a number from 6"),
            (["--speed", "0"], "a number from 0.1"),
            (["--speed", "fast"], "a number from 0.1"),
            (["--input", "{"], "is not JSON"),
            (["--event", "/nowhere/event.json"], "/nowhere/event.json cannot be read"),
            (["--event", str(COMMON)], "is not JSON"),
            (["--input", "{}", "--event", str(CHANGE)], "not allowed with"),
        ],
    )
    def test_wrong(self, options: list[str], complaint: str) -> None:
        """A wrong option is told on stderr with exit code 2, before anything starts."""
        result = demo_sh(*options)

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ([], "must be a JSON object"),
            ({"source": "aws.account"}, "it lacks detail-type, detail"),
            ({"source": "aws.account", "detail-type": "x", "detail": 1}, "is not an object"),
        ],
    )
    def test_no_event(self, tmp_path: Path, content: Any, complaint: str) -> None:
        """A file that holds no event is refused."""
        file = tmp_path / "event.json"
        file.write_text(json.dumps(content))

        result = demo_sh("--event", str(file))

        assert (2, "") == (result.returncode, result.stdout)
        assert complaint in result.stderr


@dataclass(frozen=True)
class Demo:
    """Runs the demo with a folder of its own for temporary files."""

    temporary: Path

    @contextmanager
    def start(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        small = ["--accounts", "6", "--speed", "100"]
        with subprocess.Popen(
            [sys.executable, "-m", "demo", *small, *options],
            cwd=REPOSITORY / "scripts",
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()  # no effect but on one that a failed test left running

    def run(self, *options: str) -> Result:
        with self.start(*options) as process:
            out, error = process.communicate(timeout=120)
        return subprocess.CompletedProcess(options, process.returncode, out, error)

    def leftovers(self) -> list[str]:
        """Return the files and the processes that are left of the runs."""
        show_environment = "axEww" if sys.platform == "darwin" else "axeww"
        processes = subprocess.run(
            ["ps", show_environment], check=True, capture_output=True, text=True
        ).stdout.splitlines()
        files = [str(file) for file in self.temporary.iterdir()]
        return files + [line for line in processes if str(self.temporary) in line]


@pytest.fixture(name="demo")
def _demo(tmp_path: Path) -> Iterator[Demo]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    demo = Demo(folder)
    yield demo
    assert [] == demo.leftovers()


class TestRun:
    def test_success(self, demo: Demo) -> None:
        """A run shows progress, an account before and after, message and report, in plain lines."""
        result = demo.run()

        assert (0, "") == (result.returncode, result.stderr)
        for line in (
            "Starting the stand-in for AWS, at 100 times AWS's speed ...",
            "Organization: 6 member accounts, 2 of them not ACTIVE",
            "3 of 3 accounts: ",
            "\nAccount 100000000001\n",
            "primary     Formerly Primary 000000     Zephyrine Quillmark",
            "Subject: [dev] contact sync success: ",
            "SyncAccounts",
            "\nExecution SUCCEEDED\n",
            f"Open {PAGE}\n",
            "\nTry next\n",
        ):
            assert line in result.stdout
        assert "\x1b" not in result.stdout
        page = PAGE.read_text()
        assert "6 member accounts" in page
        assert "Member 100000000001" in page

    def test_faults(self, demo: Demo) -> None:
        """With faults the run fails for the one account that nothing helps, and says why."""
        result = demo.run("--faults")

        assert 1 == result.returncode
        assert "FAILED: PartialSyncError: primary failed in 1 of " in result.stderr
        results = [
            line.split()[-1]
            for line in result.stdout.splitlines()
            if "the first four calls" in line or "every call" in line or "dies once" in line
        ]
        assert "failed" == results[1]
        assert "failed" not in (results[0], results[2])
        assert "AccessDeniedError" in result.stdout

    def test_refused_input(self, demo: Demo) -> None:
        """An input that the state machine refuses ends with its error."""
        result = demo.run("--input", '["everything"]')

        assert 1 == result.returncode
        assert "FAILED: InvalidRequestError" in result.stderr

    def test_event(self, demo: Demo) -> None:
        """An event is followed to what the rule's execution did with the change."""
        result = demo.run("--event", str(CHANGE))

        assert (0, "") == (result.returncode, result.stderr)
        assert "Changed the " in result.stdout
        assert "Trigger: contact changed (PutAlternateContact)" in result.stdout
        assert "3 updated" in result.stdout
        assert re.search(r"(\w+ \w+) +\1 the Second\n", result.stdout)

    def test_event_that_starts_nothing(self, demo: Demo) -> None:
        """An event of a member's contact changes nothing at the source, and is no error."""
        result = demo.run("--event", str(EVENTS / "put-alternate-contact-member.json"))

        assert (0, "") == (result.returncode, result.stderr)
        assert "No rule starts a run for it." in result.stdout
        assert "Changed the " not in result.stdout

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted(self, demo: Demo, number: signal.Signals, code: int) -> None:
        """A signal ends the demo and its stand-in."""
        with demo.start() as process:
            read_until(process, "Started run ")
            process.send_signal(number)
            process.communicate(timeout=30)

        assert code == process.returncode

    def test_keep(self, demo: Demo) -> None:
        """Kept running, it takes the commands that it tells, and its report knows what they did."""
        with demo.start("--keep") as process:
            told = read_until(process, "aws account get-contact-information")
            commands = [line for line in told.splitlines() if line.startswith(("export ", "bash "))]
            ran = subprocess.run(
                ["bash", "-euc", "\n".join(commands)],
                cwd=REPOSITORY,
                env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
                check=False,
                capture_output=True,
                text=True,
            )
            (address,) = re.findall(r"each time: (http://127.0.0.1:\d+/)", told)
            with urllib.request.urlopen(address) as answer:  # noqa: S310 - on loopback
                page = answer.read().decode()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)

        assert (0, 0) == (ran.returncode, process.returncode), ran.stderr
        name_of_the_run = ran.stdout.splitlines()[0]
        assert name_of_the_run in page


class TestProgress:
    def test_lines(self, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
        """Elsewhere than in a terminal a line is printed now and then, and at the end."""
        monkeypatch.setattr(demo_view, "_console", Console(force_terminal=False, width=80))
        with demo_view.progress_view() as view:
            for done in range(101):
                view.show(snapshot(done))

        assert ["SyncAccounts: 0", "SyncAccounts: 100"] == [
            line.split(" of 100 accounts")[0].strip()
            for line in capsys.readouterr().out.splitlines()
        ]

    def test_bar(self, monkeypatch: Any) -> None:
        """In a terminal a bar shows the state, the accounts done and what became of them."""
        terminal = Console(force_terminal=True, width=120, file=io.StringIO(), color_system=None)
        monkeypatch.setattr(demo_view, "_console", terminal)
        with demo_view.progress_view() as view:
            view.show(snapshot(42))

        shown = terminal.file.getvalue()
        assert "SyncAccounts" in shown
        assert "42/100" in shown
        assert "41 updated, 1 failed" in shown


def test_picture() -> None:
    """It has the output up to the links, and loads no font from elsewhere."""
    lines = ["Starting ...\n", "\n", "Account 1\n", "security  Ann\n", "Execution: https://x\n"]

    made = picture(lines)

    text = [re.sub("&#160;", " ", one) for one in re.findall("<text[^>]*>([^<]+)</text>", made)]
    assert ["Starting ...", "Account 1", "security  Ann"] == [
        one for one in text[1:] if one.strip()
    ]
    assert "url(http" not in made


def snapshot(done: int) -> demo_view.Snapshot:
    failed = min(1, done)
    return demo_view.Snapshot("SyncAccounts", 100, (("updated", done - failed), ("failed", failed)))


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} was not printed, but:\n{''.join(lines)}")

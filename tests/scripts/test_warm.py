"""The AWS CLI of these tests is the real one: it answers as when it is started anew."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from support.cli import ACCESS_KEYS, AWS_FOLDER, Cli, Result, aws_folder, environment_for, needs_aws


def both(environment: dict[str, str], *arguments: str, answer: str = "") -> tuple[Result, Result]:
    """Run the AWS CLI both ways."""
    needs_aws()
    assert aws_folder() != AWS_FOLDER
    return tuple(
        subprocess.run(
            [folder / "aws", *arguments],
            env=environment,
            input=answer,
            check=False,
            capture_output=True,
            text=True,
        )
        for folder in (aws_folder(), AWS_FOLDER)
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "--version",
        "sts get-caller-identity --query Account --output text",
        "sts get-caller-identity --output nothing",
        "dynamodb describe-table --table-name none",
        "nothing at all",
    ],
)
def test_answers(cli: Cli, arguments: str) -> None:
    """Output, errors and exit code are the same, with this caller's variables."""
    warm, cold = both(cli.environment, *arguments.split())

    assert (warm.returncode, warm.stdout, warm.stderr) == (
        cold.returncode,
        cold.stdout,
        cold.stderr,
    )


def test_files(cli: Cli, tmp_path: Path) -> None:
    """It reads its standard input, and files of the folder that it is started in."""
    bucket = "s3://warm-and-cold"
    both(cli.environment, "s3", "mb", bucket)
    (tmp_path / "names").write_text(json.dumps(["warm"]))

    warm, _ = both(cli.environment, "s3", "cp", "-", f"{bucket}/stream", answer="streamed\n")
    read, _ = both(cli.environment, "s3", "cp", f"{bucket}/stream", "-")
    command = [aws_folder() / "aws", "ssm", "get-parameters", "--names", "file://names"]
    told = subprocess.run(
        command, cwd=tmp_path, env=cli.environment, check=False, capture_output=True, text=True
    )

    assert (0, "streamed\n") == (warm.returncode, read.stdout)
    assert '"warm"' in told.stdout, told.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of a call it ends as the real one does."""
    needs_aws()
    ended = []
    for folder in (aws_folder(), AWS_FOLDER):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            environment = environment_for(
                tmp_path,
                **ACCESS_KEYS,
                AWS_DEFAULT_REGION="us-east-1",
                AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}",
            )
            command = [folder / "aws", "sts", "get-caller-identity"]
            with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
                connection, _ = silent.accept()
                with connection:
                    connection.recv(1)
                    running.send_signal(number)
                    ended.append(running.wait())

    assert ended[0] == ended[1] != 0

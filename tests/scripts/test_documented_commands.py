"""Every command and sample of the documents and of the deployment guide does what it says there.

Scripts are asked with their own parsers; the commands of the AWS CLI run against a prod stack. What
is new in a document has to find its place here.
"""

import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from contact_sync.config import parse_config
from contact_sync.request import parse_request
from operate import address_book
from standin.organization.worlds import drifted_world
from standin.standin import Stack, Standin
from support.cli import REPOSITORY, aws_2_folder, environment_at, needs_aws
from support.documents import (
    DOCUMENTS,
    FAQ,
    MACHINE,
    OPERATING,
    Sample,
    name_of,
    samples_of,
    section_of,
)

ACCOUNT = "999999999999"
STACK = "aws-contact-sync-prod"
RUN = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
GUIDE = Path(__file__).parent / "guide-commands.md"
SAMPLES = [sample for path in (*DOCUMENTS, GUIDE) for sample in samples_of(path)]
# What a reader puts there.
PLACEHOLDERS = {
    "us-east-1:123456789012:": f"us-east-1:{ACCOUNT}:",
    "<execution name>": RUN,
    "<environment>": "prod",
    "…": "--environment prod --account-id 123456789012",
}

# Of the reader's own machine and account: the beginnings, and why they are not run.
OUTSIDE = {
    "git clone": "the repository's address is the reader's",
    "aws organizations create-policy": "the stand-in has policies, and makes none",
    "aws organizations attach-policy": "the policy and the unit are the reader's",
    "cd aws-contact-sync": "where git clone left it",
    "aws configure": "asks for the reader's own keys; the scripts take what it writes",
    "sudo dnf install": "of CloudShell's system",
    "export AWS_PROFILE=": "read by the AWS CLI itself; --profile is tested instead",
}
# Of the guide: the section of scripts/README.md that replaces it, and a word of the replacement.
REPLACED = {
    "aws lambda update-function-configuration": ("Troubleshooting", "--log-level DEBUG"),
}
# Before a command, and read by what it starts.
VARIABLES = ("AWS_REGION", "LIVE_ACCOUNT", "LIVE_ENVIRONMENT")
OTHER_LANGUAGES = ("json", "mermaid", "sql", "yaml")


KINDS = (
    ("outside", f"({'|'.join(OUTSIDE)})"),
    ("replaced", f"({'|'.join(REPLACED)})"),
    ("script", r"(\w+=\S+ )*(bash |\./)?scripts/[\w-]+\.sh\b"),
    ("stop", "aws stepfunctions stop-execution "),
    ("aws", "aws "),
    ("standin", r".* -m standin\.organization "),
)


def kind_of(sample: Sample) -> str:
    """Return what is to be done with a sample; nothing may be left without."""
    if sample.language == "":
        return "link" if sample.text.startswith("https://") else "picture"
    if sample.language == "json" and '"EmailAddress"' in sample.text:
        return "contacts"
    if sample.language != "bash":
        return sample.language if sample.language in OTHER_LANGUAGES else "unknown"
    found = [kind for kind, pattern in KINDS if re.match(pattern, sample.text)]
    return found[0] if found else "unknown"


def of_kind(*kinds: str) -> Any:
    found = [sample for sample in SAMPLES if kind_of(sample) in kinds]
    assert found
    return pytest.mark.parametrize("sample", found, ids=str)


def filled(text: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def test_every_sample_has_its_place() -> None:
    """A new command is checked from its first day."""
    assert [] == [str(sample) for sample in SAMPLES if kind_of(sample) == "unknown"]
    assert 50 < len(SAMPLES)


def test_what_is_unknown_is_found(tmp_path: Path) -> None:
    """A program that nobody thought of fails the test above."""
    document = tmp_path / "x.md"
    document.write_text(
        "## S\n\nSee `aws sts get-caller-identity`.\n\n```bash\nterraform apply\n```\n"
    )

    assert ["aws", "unknown"] == [kind_of(sample) for sample in samples_of(document)]


# Scripts.


def check_options(script: Path, options: list[str]) -> str:
    """Return what the script's own parser has against the options; it calls nothing."""
    if "/lib/operate.sh" in script.read_text():
        return check_operating_options(script.stem, options)
    if (script.with_suffix("") / "__main__.py").exists():
        command = [sys.executable, "-P", "-m", script.stem, "--check-options", *options]
    else:
        assert "test.sh" == script.name
        paths = [option for option in options if option.startswith("tests")]
        return " ".join(path for path in paths if not (REPOSITORY / path).exists())
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{REPOSITORY / 'scripts'}:{REPOSITORY / 'functions'}",
    }
    told = subprocess.run(
        command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    return told.stderr if told.returncode else ""


def check_operating_options(name: str, options: list[str]) -> str:
    command = importlib.import_module(f"operate.{name.replace('-', '_')}")
    told = io.StringIO()
    try:
        with redirect_stderr(told):
            command.parser().read(options)
    except SystemExit:
        return told.getvalue()
    return ""


@of_kind("script")
def test_options(sample: Sample) -> None:
    """The script is there, can be started the way that is shown, and takes the options."""
    words = Sample("", "", "", filled(sample.text)).words
    while "=" in words[0]:
        assert words.pop(0).partition("=")[0] in VARIABLES
    started = words.pop(0)
    script = REPOSITORY / (words.pop(0) if started == "bash" else started)

    assert "" == check_options(script, words)
    assert started == "bash" or os.access(script, os.X_OK)


@of_kind("yaml")
def test_workflow(sample: Sample) -> None:
    """Each command of a workflow takes its options, and none waits for an answer."""
    commands = re.findall(r"run: bash scripts/([\w-]+)\.sh (.*)", sample.text)

    assert ["deploy", "validate"] == [name for name, _ in commands]
    for name, options in commands:
        assert "" == check_options(REPOSITORY / f"scripts/{name}.sh", options.split())
    assert "--yes" in commands[0][1]


@pytest.mark.parametrize(
    ("script", "options", "complaint"),
    [
        ("resync.sh", ["--type", "SECURITY"], "unknown contact type"),
        ("deploy.sh", ["--environment", "prod"], "--account-id is required"),
        ("rollback.sh", ["--environment", "dev", "--everything"], "unknown option"),
        ("demo.sh", ["--colour"], "unrecognized arguments"),
        ("test.sh", ["tests/nowhere"], "tests/nowhere"),
    ],
)
def test_wrong_options_are_found(script: str, options: list[str], complaint: str) -> None:
    """The parsers of the scripts refuse what is wrong."""
    assert complaint in check_options(REPOSITORY / "scripts" / script, options)


@of_kind("script")
def test_input(sample: Sample) -> None:
    """What is given as execution input or event, the product takes."""
    words = sample.words
    if "--input" in words and words[-1].startswith("{"):
        parse_request(json.loads(words[words.index("--input") + 1]), ACCOUNT)
    if "--event" in words:
        assert (REPOSITORY / words[words.index("--event") + 1]).exists()


@of_kind("standin")
def test_standin_alone(sample: Sample) -> None:
    """The strict API starts with these options, from where the command goes to."""
    _, folder, _, _, *options = sample.words
    assert "cd" == sample.words[0]
    command = [sys.executable, *options, "--help"]

    told = subprocess.run(
        command, cwd=REPOSITORY / folder, check=True, capture_output=True, text=True
    ).stdout

    for option in options:
        if option.startswith("--"):
            assert option in told


# The AWS CLI, in an account with a prod stack, a run that failed, and a backup.


@dataclass(frozen=True)
class Account:
    standin: Standin
    stack: Stack
    folder: Path
    environment: dict[str, str]

    def with_aws_2(self) -> "Account":
        path = f"{aws_2_folder()}{os.pathsep}{self.environment['PATH']}"
        return replace(self, environment={**self.environment, "PATH": path})

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module", name="account")
def _account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    needs_aws()
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "scripts").symlink_to(REPOSITORY / "scripts")
    with Standin(accounts=0, speed=100, world=drifted_world(2)) as standin:
        stack = standin.deploy(environment="prod")
        dynamodb = standin.client("dynamodb")
        item = {"config_key": {"S": "default"}, "contact_types": {"L": [{"S": "billing"}]}}
        dynamodb.put_item(TableName=stack.outputs["ConfigTableName"], Item=item)
        stack.start({"unknown": True}, name=RUN).wait()
        made = Account(standin, stack, folder, environment_at(standin, folder))
        backup = made.run("bash scripts/backup.sh --environment prod --output backup")
        assert 0 == backup.returncode, backup.stderr
        yield made


@of_kind("aws")
@pytest.mark.parametrize("version", [1, 2])
def test_command(account: Account, sample: Sample, version: int) -> None:
    """It succeeds as it is written: service, options and the names of the stack's resources."""
    result = (account if version == 1 else account.with_aws_2()).run(filled(sample.text))

    assert 0 == result.returncode, result.stderr


@of_kind("stop")
@pytest.mark.parametrize("version", [1, 2])
def test_stop(account: Account, sample: Sample, version: int) -> None:
    """It stops a run that is under way."""
    name = f"under-way-{version}"
    organization = account.standin.organization
    organization.add_fault({"error": "slow", "delay": 4, "operation": "ListAccounts"})
    execution = account.stack.start(name=name)
    try:
        command = filled(sample.text).replace(RUN, name)
        result = (account if version == 1 else account.with_aws_2()).run(command)
    finally:
        organization.clear_faults()

    assert 0 == result.returncode, result.stderr
    assert "ABORTED" == account.stack.statuses()[execution]


def test_wrong_names_are_found(account: Account) -> None:
    """The account refuses an option, a log group and a table that do not exist."""
    for command in (
        "aws logs filter-log-events --log-group /aws/lambda/aws-contact-sync-prod-contact-sync",
        "aws logs filter-log-events --log-group-name /aws/lambda/aws-contact-sync-prod-nobody",
        "aws dynamodb query --table-name aws-contact-sync-prod-states",
    ):
        assert 0 != account.run(command).returncode, command


@pytest.mark.parametrize("document", [*DOCUMENTS, GUIDE], ids=name_of)
def test_names(account: Account, document: Path) -> None:
    """Whatever a document calls by the stack's name is in the stack."""
    client = account.standin.client("cloudformation")
    pages = client.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    known = {each["PhysicalResourceId"].rpartition("/")[2] for each in resources}
    known = {name.rpartition(":")[2] for name in known} | {f"{STACK}-forwarding"}

    text = document.read_text().replace("<environment>", "prod")
    named = set(re.findall(rf"\b{STACK}-[a-z][a-z-]+", text))

    assert named or document not in (FAQ, MACHINE, OPERATING, GUIDE)
    assert set() == named - known


@pytest.mark.parametrize("pattern", ["ERROR", "sync_id"])
def test_logs(account: Account, pattern: str) -> None:
    """What the guide greps for is in the logs, with the error and the run's name."""
    (command,) = [
        sample.text
        for sample in SAMPLES
        if sample.document == name_of(GUIDE) and f'--filter-pattern "{pattern}"' in sample.text
    ]

    events = json.loads(account.run(command).stdout)["events"]

    # Lambda's own lines are plain text.
    told = [json.loads(line) for event in events if (line := event["message"]).startswith("{")]
    assert any(one.get("error") == "InvalidRequestError" and one["sync_id"] for one in told)


@of_kind("link")
def test_link(account: Account, sample: Sample) -> None:
    """The address of the dashboard is the stack's output, whatever its region's host is."""
    wanted = account.stack.outputs["DashboardUrl"]

    assert sample.text.partition("/cloudwatch/")[2] == wanted.partition("/cloudwatch/")[2]


@of_kind("sql")
def test_query(account: Account, sample: Sample) -> None:
    """Logs Insights understands the query."""
    logs = account.standin.client("logs")
    begun = logs.start_query(
        logGroupName="/aws/lambda/aws-contact-sync-prod-contact-sync-handler",
        startTime=0,
        endTime=2**31,
        queryString=filled(sample.text),
    )

    assert "Failed" != logs.get_query_results(queryId=begun["queryId"])["status"]


# Configuration.


@of_kind("contacts")
def test_address_book(sample: Sample, tmp_path: Path) -> None:
    """A sample that is no configuration is a file of contacts that config.sh takes."""
    file = tmp_path / "contacts.json"
    file.write_text(sample.text)

    assert json.loads(sample.text) == address_book.read_file(file)


@of_kind("json")
def test_configuration(sample: Sample) -> None:
    """A sample is a configuration, or a part of one, by the rules of each run."""
    values = json.loads(sample.text)

    parse_config({"contact_types": ["primary"], **values})


# What scripts/README.md has in the place of something.


@of_kind("replaced")
def test_replaced(sample: Sample) -> None:
    """Where the guide's command does harm, ours has another and says so."""
    ((_, (section, replacement)),) = [
        entry for entry in REPLACED.items() if sample.text.startswith(entry[0])
    ]
    operation = sample.words[2]

    assert replacement in section_of(OPERATING, section)
    assert f"`{operation} --environment`" in section_of(OPERATING, section)


def test_portable() -> None:
    """What only GNU's `date` understands is the guide's alone, and in another form in ours."""
    assert {name_of(GUIDE)} == {one.document for one in SAMPLES if "$(date -d" in one.text}
    assert "$(date +%s)" in section_of(OPERATING, "Troubleshooting")

"""AWS's errors in plain words, and signing in."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import exceptions as botocore
from contact_sync.aws.clients import named_errors
from contact_sync.errors import OrganizationNotInUseError, SyncError
from operate.aws import Aws, explain, open_aws
from support.aws import Operate, refusal


def hidden(refused: Exception) -> Exception:
    """Return what the functions' adapters raise in place of a refusal."""
    try:
        with named_errors("describe"):
            raise refused
    except SyncError as error:
        return error
    raise AssertionError


def test_credentials_are_refreshed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command may outlive its credentials: each call is signed with those of its time.

    (botocore asks again where they expire within ten minutes, as those of SSO and roles do.)
    """
    process, config = tmp_path / "process", tmp_path / "config"
    expires = f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    answer = {"Version": 1, "AccessKeyId": "KEY$$", "SecretAccessKey": "any", "Expiration": expires}
    process.write_text(f"cat <<END\n{json.dumps(answer)}\nEND\n")
    config.write_text(f"[profile audit]\ncredential_process = sh {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    client = Aws("us-east-1", "audit").client("sts")

    first, second = (
        re.findall(r"Credential=(KEY\d+)", client.generate_presigned_url("get_caller_identity"))
        for _ in range(2)
    )

    assert first != second


class TestErrors:
    """One plain line each, with the remedy."""

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (
                refusal("ExpiredToken"),
                "sign in again, for example with 'aws sso login --profile p'",
            ),
            (
                refusal("AccessDenied", "jane is not\nauthorized"),
                "lack a permission: Any: AccessDenied",
            ),
            (
                refusal(
                    "SignatureDoesNotMatch", "Signature expired: 20261128T0100Z is now earlier"
                ),
                "the clock of this computer is wrong",
            ),
            (refusal("ThrottlingException"), "try again in a minute"),
            (hidden(refusal("ExpiredToken")), "sign in again, for example with"),
            (OrganizationNotInUseError("Deploy"), "Deploy (aws organizations describe-org"),
            (refusal("Odd", "what\nit says"), "Any: Odd: what it says"),
            (botocore.NoCredentialsError(), "no AWS credentials: sign in with"),
            (botocore.EndpointConnectionError(endpoint_url="x"), "cannot reach AWS"),
            (botocore.ReadTimeoutError(endpoint_url="x"), "cannot reach AWS"),
            (botocore.LoginTokenLoadError(error_msg="gone"), "aws login --profile p"),
            (botocore.UnauthorizedSSOTokenError(), "aws sso login --profile p"),
            (EOFError(), "EOFError: there is no terminal to ask in"),
            (botocore.UnknownRegionError(region_name="x", error_msg="y"), "UnknownRegionError: "),
        ],
    )
    def test_words(self, error: Any, expected: str) -> None:
        told = explain(error, "p")

        assert expected in told
        assert "\n" not in told

    def test_no_profile(self, command: SimpleNamespace, operate: Operate) -> None:
        command.run = lambda options: open_aws(options) and 0

        told = operate("probe", "--environment", "dev", "--profile", "audit")

        expected = "The config profile (audit) could not be found: use one of these: none"
        assert f"error: {expected}" == told.error

    def test_no_profile_of_that_name_in_the_environment(
        self, command: SimpleNamespace, operate: Operate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "audit")
        command.run = lambda options: open_aws(options).caller and 0

        told = operate("probe", "--environment", "dev")

        assert "The config profile (audit) could not be found" in told.error

    def test_next_command_in_another_shell(self) -> None:
        """What is shown can be typed, whatever the profile's name is."""
        aws = Aws("us-east-1", None)
        aws.profile = "my profile"

        assert "--region us-east-1 --profile 'my profile'" == aws.options()

    @pytest.mark.parametrize(
        "odd",
        [
            ("/no/such/program", "FileNotFoundError: [Errno 2] No such file or directory"),
            ("echo hello", "JSONDecodeError: Expecting value"),
        ],
    )
    def test_odd_profile(
        self,
        command: SimpleNamespace,
        operate: Operate,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        odd: tuple[str, str],
    ) -> None:
        """What a profile starts may fail in its own way."""
        process, expected = odd
        config = tmp_path / "config"
        config.write_text(f"[profile odd]\nregion = us-east-1\ncredential_process = {process}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        command.run = lambda options: open_aws(options).caller and 0

        told = operate("probe", "--environment", "dev", "--profile", "odd")

        assert 1 == told.code
        assert told.error.startswith(f"error: {expected}")

    def test_no_region(
        self, command: SimpleNamespace, operate: Operate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        command.run = lambda options: open_aws(options) and 0

        told = operate("probe", "--environment", "dev")

        assert "error: no AWS region: add --region with the stack's region" == told.error

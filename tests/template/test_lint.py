"""Linters find nothing in the templates, as written and as SAM expands them."""

import copy
import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from cfnlint.api import lint
from support.stack import ROOT


def findings(template: str) -> list[str]:
    """Return what cfn-lint reports."""
    return [str(match) for match in lint(template)]


def test_forwarding_template_is_clean() -> None:
    """The template of the forwarding stack has no finding."""
    assert [] == findings((ROOT / "scripts" / "forwarding.yaml").read_text())


def test_expansion_is_clean(expanded: dict[str, Any]) -> None:
    """The expanded template has no finding, including circular dependencies."""
    assert [] == findings(json.dumps(expanded))


def test_role_that_refers_to_its_machine_is_found(expanded: dict[str, Any]) -> None:
    """Linting the expansion finds the circular dependency that linting the template misses."""
    circular = copy.deepcopy(expanded)
    role = circular["Resources"]["ContactSyncStateMachineRole"]["Properties"]
    role["Policies"][0]["PolicyDocument"]["Statement"][1]["Resource"] = {
        "Ref": "ContactSyncStateMachine"
    }

    assert any("E3004" in finding for finding in findings(json.dumps(circular)))


@pytest.mark.skipif(shutil.which("sam") is None, reason="the SAM CLI is not installed")
def test_sam_validates() -> None:
    """SAM accepts the template and its lint has no finding."""
    command = ["sam", "validate", "--lint", "--region", "us-east-1"]
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert 0 == result.returncode, result.stdout + result.stderr

"""What the READMEs of the two parts show works, and they leave no hook out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from standin.standin import Standin

SCRIPTS = Path(__file__).parents[2] / "scripts"
PARTS = SCRIPTS / "standin"
WRITTEN = {
    "organization": ["61 accounts", "Example Team", "'outcomes'"],
    "ministack": ['"Hello, world"'],
}


def readme(part: str) -> str:
    return (PARTS / part / "README.md").read_text()


@pytest.mark.parametrize("part", WRITTEN)
def test_examples(part: str) -> None:
    """Each example runs against a stand-in that has other ports."""
    with Standin(accounts=60) as standin:
        code = "\n".join(re.findall(r"```python\n(.*?)```", readme(part), re.DOTALL))
        code = code.replace("http://127.0.0.1:5599", standin.organization_url)
        code = code.replace("http://127.0.0.1:4566", standin.endpoint_url)
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=SCRIPTS, check=False, capture_output=True, text=True
        )
    assert "" == ran.stderr
    assert [] == [text for text in WRITTEN[part] if text not in ran.stdout]


def test_every_hook_is_named() -> None:
    code = "\n".join(file.read_text() for file in (PARTS / "ministack").glob("*.py"))
    hooks = set(re.findall(r"^@hook\ndef (\w+)", code, re.MULTILINE))
    table = readme("ministack").partition("## The hooks")[2].partition("## The routes")[0]
    names = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert hooks == set(re.findall(r"\w+", " ".join(names)))

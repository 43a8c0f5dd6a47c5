"""The documents lead a reader to the right place: their links, their length, the guide's titles."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from support.cli import REPOSITORY
from support.documents import DOCUMENTS, OPERATING, README, name_of, section_of

CHANGELOG = REPOSITORY / ".github/CHANGELOG.md"

GUIDE_TITLES = """\
Prerequisites, Required Tools, AWS Permissions, AWS Account Setup, Quick Start,
Environment-Specific Deployment, Configuration, System Configuration, Contact Type Configuration,
Account Exclusions, Validation, Basic Validation, Deep Validation, Manual Testing, Monitoring,
CloudWatch Dashboard, Key Metrics, Alarms, Log Analysis, Troubleshooting, Common Issues, Debug Mode,
Log Analysis Commands, Rollback Procedures, Automatic Rollback, Manual Rollback,
Complete Stack Deletion, Data Recovery, Security Considerations, Support and Maintenance,
Regular Maintenance, Updates and Patches, SAM Template Parameters, Resource Naming Convention,
Cost Estimation""".replace("\n", " ").split(", ")


def every_document() -> list[Path]:
    """Return every Markdown file of the repository, those that Git does not know yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [REPOSITORY / name for name in listed.stdout.splitlines()]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's titles."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: Path) -> list[str]:
    """Return the links of a document that lead to no file, or to no title in it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not link.startswith("https://") and (
            not target.exists() or (anchor and anchor not in anchors(target))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", every_document(), ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    assert [] == broken_links(document)


def test_broken_links_are_found(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text("# A title\n\n[a](#a-title) [b](#title) [c](y.md) [d](x.md#a-title)\n")

    assert ["#title", "y.md"] == broken_links(document)


def test_the_version_has_its_section_in_the_changelog() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    titles = re.findall(r"^## (.*)", CHANGELOG.read_text(), flags=re.MULTILINE)

    assert version == titles[0]


def test_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 250


def test_every_document_is_linked_from_the_readme() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", README.read_text())

    assert {name_of(document) for document in DOCUMENTS} - {"README.md"} <= set(links)


def test_the_guides_titles_are_in_the_operators_readme() -> None:
    """Who comes with the deployment guide finds each of its sections."""
    rows = section_of(OPERATING, "If you know the deployment guide").splitlines()
    told = {
        title
        for row in rows
        if row.startswith("|")
        for title in re.split(r": |, ", row.split("|")[1].strip())
    }

    assert set() == set(GUIDE_TITLES) - told

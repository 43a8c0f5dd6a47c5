"""The documents and their contents: commands, samples, sections, tables and links."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
FAQ = REPOSITORY / ".github/FAQ.md"
MACHINE = REPOSITORY / "statemachine/README.md"
OPERATING = REPOSITORY / "scripts/README.md"
TESTS = REPOSITORY / "tests/README.md"
BENCHMARK = REPOSITORY / "scripts/benchmark/README.md"
# Every command and sample in these documents is tested.
DOCUMENTS = (README, FAQ, MACHINE, OPERATING, TESTS, BENCHMARK)

FENCE = "```"
COMMAND_LANGUAGES = ("bash", "console")
# Within a sentence: text that begins like a command.
INLINE = re.compile(
    r"`((?:bash |\./)?scripts/[\w-]+\.sh [^`]+|bash scripts/[^`]+|(?:aws|sam) [^`]+)`"
)


@dataclass(frozen=True)
class Sample:
    """A fenced block or one of its commands, or a command within a sentence."""

    document: str
    section: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}, {self.section}: {' '.join(self.text.split())[:70]}"

    @cached_property
    def words(self) -> list[str]:
        """The words of a command, including redirections as plain words."""
        return shlex.split(self.text, comments=True)


def name_of(path: Path) -> str:
    """Return the path inside the repository, which distinguishes READMEs."""
    inside = path.is_relative_to(REPOSITORY)
    return str(path.relative_to(REPOSITORY)) if inside else path.name


def section_of(path: Path, title: str) -> str:
    """Return a section of a document with its title, up to the next title of any level."""
    sections = _sections(path)
    assert title in sections, f"{name_of(path)} has no section {title!r}"
    return sections[title]


def _sections(path: Path) -> dict[str, str]:
    """Return the text under each title; lines with # in fenced blocks are not titles."""
    sections, title, fenced = {"": ""}, "", False
    for line in path.read_text().splitlines(keepends=True):
        fenced ^= line.startswith(FENCE)
        if line.startswith("#") and not fenced:
            title = line.strip("# \n")
        sections[title] = sections.get(title, "") + line
    return sections


def samples_of(path: Path) -> list[Sample]:
    """Return every sample of a document, with each command separately."""
    document = name_of(path)
    found: list[Sample] = []
    section, language, block = "", "", None
    for line in path.read_text().splitlines():
        if block is None and line.startswith("#"):
            section = line.lstrip("# ")
        elif block is None and line.startswith(FENCE):
            language, block = line.removeprefix(FENCE), []
        elif line.startswith(FENCE):
            found += _of_block(document, section, language, block or [])
            block = None
        elif block is not None:
            block.append(line)
        else:
            found += [Sample(document, section, "bash", text) for text in INLINE.findall(line)]
    return found


def _of_block(document: str, section: str, language: str, lines: list[str]) -> list[Sample]:
    text = "\n".join(lines)
    if language not in COMMAND_LANGUAGES:
        return [Sample(document, section, language, text)]
    if language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    joined = "\n".join(lines).replace("\\\n", "")
    return [
        Sample(document, section, "bash", line)
        for line in joined.splitlines()
        if line.strip() and not line.startswith("#")
    ]

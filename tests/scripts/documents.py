"""Reads commands and samples out of Markdown."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FENCE = "```"
COMMAND_LANGUAGES = ("bash", "console")
# Within a sentence: the beginnings of what somebody could type.
INLINE = re.compile(
    r"`((?:bash |\./)?scripts/[\w-]+\.sh [^`]+|bash scripts/[^`]+|(?:aws|sam) [^`]+)`"
)


@dataclass(frozen=True)
class Sample:
    """One fenced block or one command of it, or one command within a sentence."""

    document: str
    section: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}, {self.section}: {' '.join(self.text.split())[:70]}"

    @cached_property
    def words(self) -> list[str]:
        """The words of a command, without redirections being understood."""
        return shlex.split(self.text, comments=True)


def samples_of(path: Path) -> list[Sample]:
    """Return every sample of a document; of commands, each for itself."""
    found: list[Sample] = []
    section, language, block = "", "", None
    for line in path.read_text().splitlines():
        if block is None and line.startswith("#"):
            section = line.lstrip("# ")
        elif block is None and line.startswith(FENCE):
            language, block = line.removeprefix(FENCE), []
        elif line.startswith(FENCE):
            found += _of_block(path.name, section, language, block or [])
            block = None
        elif block is not None:
            block.append(line)
        else:
            found += [Sample(path.name, section, "bash", text) for text in INLINE.findall(line)]
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

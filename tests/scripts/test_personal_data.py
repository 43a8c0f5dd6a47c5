"""Nothing in the repository is, or could be, the address or the number of a person."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PLACES = ("*.md", "*.yaml", ".github", "functions", "scripts", "statemachine", "tests")
SUFFIXES = {".json", ".md", ".py", ".sh", ".yaml"}
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
NUMBER = re.compile(r"\+\d[\d ().-]{6,}")
EXAMPLES = re.compile(r"[@.]example\.com$", re.IGNORECASE)  # a domain has no case
OF_THE_GUIDE = {"admin@yourcompany.com"}


def texts() -> Iterator[str]:
    for place in PLACES:
        for path in REPOSITORY.glob(place):
            for file in [path, *path.rglob("*")]:
                if file.suffix in SUFFIXES:
                    yield file.read_text()


@pytest.mark.rule(12)
def test_every_address_is_an_example() -> None:
    found = {address for text in texts() for address in ADDRESS.findall(text)}
    assert set() == {one for one in found if not EXAMPLES.search(one)} - OF_THE_GUIDE


@pytest.mark.rule(12)
def test_every_number_is_one_that_no_subscriber_has() -> None:
    found = {number for text in texts() for number in NUMBER.findall(text)}
    assert set() == {one for one in found if "555" not in one}

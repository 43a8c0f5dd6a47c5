"""The rooms of the code and of the tests: AWS is called in one, and imports go one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import contact_sync
import pytest

ROOT = Path(str(contact_sync.__file__)).parents[1]
SHARED = "contact_sync"
FUNCTIONS = {one.parent.name for one in ROOT.glob("*/handler.py")}
SCRIPTS, TESTS = ROOT.parent / "scripts", ROOT.parent / "tests"
SUITES = {one.parent.name for one in TESTS.glob("*/test_*.py")}
MODULES = sorted(str(one.relative_to(ROOT)) for one in ROOT.rglob("*.py"))


def room_of(module: str) -> str:
    """Return the module's function, `contact_sync`, or `contact_sync/aws`."""
    parts = Path(module).parts
    return f"{SHARED}/aws" if parts[:2] == (SHARED, "aws") else parts[0]


def imported(module: str | Path) -> Iterator[str]:
    """Yield the dotted name of each import, of those within functions too."""
    for node in nodes(module):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=name, names=names) if name:
                yield from (f"{name}.{one.name}" for one in names)


def nodes(module: str | Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse((ROOT / module).read_text()))


def roots(module: str | Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(module)}


def test_no_import_hides_its_room() -> None:
    """None is relative, none has a computed name."""
    for module in MODULES:
        for node in nodes(module):
            match node:
                case ast.ImportFrom(level=level) if level:
                    pytest.fail(f"{module} has a relative import")
                case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")):
                    pytest.fail(f"{module} imports by a computed name")


def test_every_room_is_known() -> None:
    assert {
        "account_lister",
        "alternate_contact_processor",
        "contact_sync_handler",
        "primary_contact_processor",
        "sync_reporter",
    } == FUNCTIONS
    assert {*FUNCTIONS, SHARED, f"{SHARED}/aws"} == {room_of(one) for one in MODULES}


def test_only_the_room_for_aws_imports_the_sdk() -> None:
    users = {room_of(one) for one in MODULES if roots(one) & {"boto3", "botocore"}}
    assert {f"{SHARED}/aws"} == users


@pytest.mark.rule(17)
def test_every_client_is_made_in_one_place() -> None:
    """Where retries and timeouts are set."""
    makers = [one for one in MODULES if {"boto3", "boto3.client"} & set(imported(one))]
    assert ["contact_sync/aws/clients.py"] == makers


def test_no_room_imports_from_a_functions_room_but_its_own() -> None:
    foreign = {one: roots(one) & FUNCTIONS - {room_of(one)} for one in MODULES}
    assert {} == {one: rooms for one, rooms in foreign.items() if rooms}


def test_the_room_for_aws_uses_only_values_and_decisions() -> None:
    """Whatever uses a gateway is above it."""
    shared = {one: set(imported(one)) for one in MODULES if room_of(one) == SHARED}
    above = {
        f"{SHARED}.{Path(one).stem}"
        for one, names in shared.items()
        if any(name.startswith(f"{SHARED}.aws.") for name in names)
    }
    assert above  # the processor, at least
    used = {name for one in MODULES if room_of(one) == f"{SHARED}/aws" for name in imported(one)}
    assert [] == [name for name in used if any(name.startswith(f"{one}.") for one in above)]


def packages_in(*folders: Path) -> set[str]:
    return {one.stem for folder in folders for one in (folder, *folder.glob("*"))}


def test_no_function_imports_from_scripts_or_tests() -> None:
    theirs = packages_in(SCRIPTS, TESTS)
    assert [] == [one for one in MODULES if roots(one) & theirs]


def test_no_script_imports_from_tests() -> None:
    modules = sorted(SCRIPTS.rglob("*.py"))
    assert modules
    theirs = packages_in(TESTS) - packages_in(SCRIPTS)
    assert [] == [str(one) for one in modules if roots(one) & theirs]


@pytest.mark.parametrize("part", ["organization", "ministack"])
def test_a_part_of_the_stand_in_is_usable_without_the_product(part: str) -> None:
    folder = SCRIPTS / "standin" / part
    modules = sorted(folder.rglob("*.py"))
    assert modules
    ours = packages_in(ROOT, SCRIPTS, TESTS)
    foreign = {
        name
        for module in modules
        for name in imported(module)
        if name.partition(".")[0] in ours and not name.startswith(f"standin.{part}.")
    }
    assert set() == foreign
    names = {SHARED, *FUNCTIONS}
    names |= {name.replace("_", "-") for name in names}
    texts = [one.read_text() for one in (*modules, folder / "README.md")]
    assert [] == [name for name in names if any(name in text for text in texts)]


def test_no_suite_imports_from_another() -> None:
    """What two suites use is in `tests/support`."""
    assert {"unit", "template", "faults"} < SUITES
    folders = {*SUITES, "support"}
    modules = [one for folder in folders for one in (TESTS / folder).rglob("*.py")]
    # A suite that is called like a package of scripts/ cannot be imported beside it.
    suites = SUITES - packages_in(SCRIPTS)
    foreign = {one: roots(one) & suites - {one.relative_to(TESTS).parts[0]} for one in modules}
    assert {} == {one: suites for one, suites in foreign.items() if suites}

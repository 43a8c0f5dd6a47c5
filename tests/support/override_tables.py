"""Organizations with overrides, and the contacts that each account gets, for all test levels.

A letter stands for an account, a path for a unit. `account` and `unit` make IDs that are unique to
the case, so that all cases fit into one organization.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.builders import ALTERNATE_FIELDS, PRIMARY_FIELDS

Json = dict[str, Any]
# Accounts or units, and their contacts.
Rule = tuple[str, Mapping[str, str]]

ROOT = "r-exam"
BOOK: dict[str, dict[str, str]] = {
    "payments": {**ALTERNATE_FIELDS, "EmailAddress": "payments@example.com"},
    "oncall": {**ALTERNATE_FIELDS, "EmailAddress": "oncall@example.com"},
    "night": {**ALTERNATE_FIELDS, "EmailAddress": "night@example.com"},
    "branch": {**PRIMARY_FIELDS, "FullName": "Branch Tester", "City": "Branchville"},
}


@dataclass(frozen=True)
class Step:
    """The accounts' units, the overrides, and the accounts' contacts, the source's by default."""

    where: Mapping[str, str]
    overrides: Sequence[Rule]
    gets: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Case:
    """A case with one step, or two with a run after each."""

    number: int
    name: str
    steps: tuple[Step, ...]

    def account(self, letter: str) -> str:
        return f"1{self.number:03}{ord(letter):08}"

    def unit(self, path: str) -> str:
        return f"ou-exam-{self.number:03}{path.replace('/', '0'):0<5}" if path else ROOT

    def units(self) -> list[Json]:
        """Return the units of every step, parents first."""
        paths = {path for step in self.steps for path in step.where.values() if path}
        paths |= {one for step in self.steps for one, _ in step.overrides if not _is_account(one)}
        paths |= {part for path in paths for part in _above(path)}
        return [
            {"id": self.unit(path), "name": path, "parent": self.unit(path.rpartition("/")[0])}
            for path in sorted(paths, key=lambda path: (path.count("/"), path))
        ]

    def accounts(self, step: int = 0) -> list[Json]:
        where = self.steps[step].where
        return [{"id": self.account(one), "parent": self.unit(path)} for one, path in where.items()]

    def overrides(self, step: int = 0) -> list[Json]:
        return [
            {"account_ids": [self.account(one) for one in subjects.split()], **contacts}
            if _is_account(subjects)
            else {"organizational_units": [self.unit(one) for one in subjects.split()], **contacts}
            for subjects, contacts in self.steps[step].overrides
        ]

    def expected(self, step: int = 0) -> dict[str, dict[str, str]]:
        """Return each account's contacts by type, except those of the source."""
        gets = self.steps[step].gets
        return {self.account(one): dict(gets.get(one, {})) for one in self.steps[step].where}


def _is_account(subjects: str) -> bool:
    return all(one.isupper() for one in subjects.split())


def _above(path: str) -> list[str]:
    steps = path.split("/")
    return ["/".join(steps[:end]) for end in range(1, len(steps))]


NESTED = {"A": "", "B": "x", "C": "x/y", "D": "x/y/z", "E": "w"}


def _one(name: str, overrides: Sequence[Rule], gets: Mapping[str, Mapping[str, str]]) -> Any:
    return name, (Step(NESTED, overrides, gets),)


def _two(name: str, first: Step, second: Step) -> Any:
    return name, (first, second)


S_PAY, S_CALL, S_NIGHT = ({"security": name} for name in ("payments", "oncall", "night"))
S_OWN, S_SOURCE = {"security": "own"}, {"security": "source"}
B_PAY, O_CALL = {"billing": "payments"}, {"operations": "oncall"}
P_BRANCH, P_OWN = {"primary": "branch"}, {"primary": "own"}

CASES = tuple(
    Case(number, name, steps)
    for number, (name, steps) in enumerate(
        [
            _one("no override", [], {}),
            _one("an override of an account", [("A", S_PAY)], {"A": S_PAY}),
            _one(
                "an override of a unit, at any depth", [("x", S_PAY)], dict.fromkeys("BCD", S_PAY)
            ),
            _one("of two units", [("x/y w", S_PAY)], dict.fromkeys("CDE", S_PAY)),
            _one(
                "whatever the order of the overrides",
                [("x/y", S_CALL), ("x", S_PAY)],
                {"B": S_PAY, "C": S_CALL, "D": S_CALL},
            ),
            _one(
                "three units",
                [("x", S_PAY), ("x/y", S_CALL), ("x/y/z", S_NIGHT)],
                {"B": S_PAY, "C": S_CALL, "D": S_NIGHT},
            ),
            _one(
                "the account over every unit",
                [("D", S_NIGHT), ("x", S_PAY), ("x/y/z", S_CALL)],
                {"B": S_PAY, "C": S_PAY, "D": S_NIGHT},
            ),
            _one("own", [("A", S_OWN)], {"A": S_OWN}),
            _one(
                "own inside an overridden unit",
                [("x", S_PAY), ("C", S_OWN)],
                {"B": S_PAY, "C": S_OWN, "D": S_PAY},
            ),
            _one(
                "a name inside an own unit",
                [("x", S_OWN), ("D", S_CALL)],
                {"B": S_OWN, "C": S_OWN, "D": S_CALL},
            ),
            _one(
                "back to the source",
                [("x", S_PAY), ("x/y", S_SOURCE)],
                {"B": S_PAY},
            ),
            _one(
                "each type by itself",
                [("x", {**S_PAY, **O_CALL}), ("x/y", S_NIGHT)],
                {
                    "B": {**S_PAY, **O_CALL},
                    "C": {**S_NIGHT, **O_CALL},
                    "D": {**S_NIGHT, **O_CALL},
                },
            ),
            _one(
                "two overrides of one unit for two types",
                [("x", S_PAY), ("x", O_CALL)],
                {one: {**S_PAY, **O_CALL} for one in "BCD"},
            ),
            _one(
                "a name used for two types",
                [("w", {**S_PAY, **B_PAY})],
                {"E": {**S_PAY, **B_PAY}},
            ),
            _one("primary and alternates", [("w", P_BRANCH | S_OWN)], {"E": P_BRANCH | S_OWN}),
            _one("own primary", [("x/y", P_OWN)], {"C": P_OWN, "D": P_OWN}),
            _one(
                "everything its own",
                [("E", {**S_OWN, **P_OWN, "billing": "own", "operations": "own"})],
                {"E": {**S_OWN, **P_OWN, "billing": "own", "operations": "own"}},
            ),
            _one("a unit without accounts", [("v", S_PAY)], {}),
            _one(
                "an override of a unit and an override of an account that it does not have",
                [("x", S_PAY), ("E", S_CALL)],
                {**dict.fromkeys("BCD", S_PAY), "E": S_CALL},
            ),
            _two(
                "an account that moves into a unit",
                Step(NESTED, [("x", S_PAY)], dict.fromkeys("BCD", S_PAY)),
                Step({**NESTED, "A": "x/y"}, [("x", S_PAY)], dict.fromkeys("ABCD", S_PAY)),
            ),
            _two(
                "an account that moves deeper",
                Step(
                    NESTED, [("x", S_PAY), ("x/y", S_CALL)], {"B": S_PAY, "C": S_CALL, "D": S_CALL}
                ),
                Step(
                    {**NESTED, "B": "x/y/z"},
                    [("x", S_PAY), ("x/y", S_CALL)],
                    dict.fromkeys("BCD", S_CALL),
                ),
            ),
            _two(
                "an override that is removed",
                Step(NESTED, [("x", S_PAY), ("D", S_CALL)], {"B": S_PAY, "C": S_PAY, "D": S_CALL}),
                Step(NESTED, [("x", S_PAY)], dict.fromkeys("BCD", S_PAY)),
            ),
            _two(
                "an override that comes",
                Step(NESTED, [], {}),
                Step(NESTED, [("x/y", S_NIGHT)], {"C": S_NIGHT, "D": S_NIGHT}),
            ),
            _two(
                "a name that becomes own",
                Step(NESTED, [("w", S_PAY)], {"E": S_PAY}),
                Step(NESTED, [("w", S_OWN)], {"E": S_OWN}),
            ),
            _two(
                "own that becomes the source",
                Step(NESTED, [("w", S_OWN)], {"E": S_OWN}),
                Step(NESTED, [("w", S_SOURCE)], {}),
            ),
        ],
        1,
    )
)

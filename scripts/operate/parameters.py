"""The parameters of a deployment: from its options, the existing stack and the template."""

import re
from argparse import ArgumentTypeError, Namespace
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
SECTION = re.compile(r"^Parameters:\n(.*?)^\S", re.MULTILINE | re.DOTALL)
PARAMETER = re.compile(r"^  (\w+):\n((?:    .*\n|\n)*)", re.MULTILINE)
DEFAULT = re.compile(r"^    Default: *(.*)$", re.MULTILINE)
RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0}
# CloudWatch evaluates at most one week.
MOST_HOURS = 168


@dataclass
class Settings:
    """The parameters by name; options override checks, stored values and defaults."""

    given: dict[str, str]
    kept: dict[str, str] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the value of a parameter."""
        return self.values()[name]

    def values(self) -> dict[str, str]:
        """Return the value of each parameter of the template."""
        known = defaults()
        chosen = {**known, **self.kept, **self.decided, **self.given}
        return {name: value for name, value in chosen.items() if name in known}


def defaults() -> dict[str, str]:
    """Return the template's parameters with their defaults, empty if there is none."""
    section = SECTION.search(TEMPLATE.read_text())
    found = PARAMETER.findall(section[1] if section else "")
    values = {name: DEFAULT.search(body) for name, body in found}
    return {name: value[1].strip('"') if value else "" for name, value in values.items()}


def assignment(given: str) -> tuple[str, str]:
    """Return the name and value of a parameter given as NAME=VALUE."""
    name, equals, value = given.partition("=")
    if not equals:
        raise ArgumentTypeError(f"invalid value '{given}': expected NAME=VALUE")
    if name not in defaults():
        known = ", ".join(defaults())
        raise ArgumentTypeError(f"template.yaml has no parameter {name}: use one of {known}")
    return name, value


def given_by(options: Namespace) -> dict[str, str]:
    """Return the parameters that the options give."""
    own = {
        "NotificationEmail": options.notification_email,
        "ScheduleExpression": options.schedule,
        "LogLevel": options.log_level,
        "CreateTrail": "never" if options.no_trail else None,
        "ControlTowerRegion": options.control_tower_region,
        "PermissionsBoundary": options.permissions_boundary,
        "Triggers": options.triggers,
    }
    given = {name: value for name, value in own.items() if value is not None}
    given |= dict(options.parameter)
    if "ScheduleExpression" in given and "MostHoursWithoutRun" not in given:
        hours = hours_without_run(given["ScheduleExpression"])
        given |= {"MostHoursWithoutRun": str(hours)} if hours is not None else {}
    return given


def hours_without_run(schedule: str) -> int | None:
    """Return the hours of the alarm `no-full-run`: one more than between two full runs.

    0 (no alarm) if that exceeds a week; None if not known: a cron expression for some days only.
    """
    daily = int(defaults()["MostHoursWithoutRun"])
    if match := RATE.fullmatch(schedule):
        hours = int(int(match[1]) * HOURS[match[2]] + 1)
        return max(hours, daily) if hours <= MOST_HOURS else 0
    fields = schedule.removeprefix("cron(").removesuffix(")").split()
    is_daily = all(one in ("*", "?") for one in fields[2:])
    return daily if is_daily else None

"""The recorded events, and the two matchers that rules are tried with."""

import json
from collections.abc import Callable
from typing import Any

from moto.events.models import EventPattern
from template.event_rules import matches
from template.stack import ROOT

MEMBER = "100000000001"
CONTACT_CHANGES = {
    "put-alternate-contact",
    "put-alternate-contact-pascal",
    "put-alternate-contact-root",
    "put-alternate-contact-user",
    "delete-alternate-contact",
    "delete-alternate-contact-pascal",
    "delete-alternate-contact-root",
    "put-contact-information",
    "put-contact-information-pascal",
    "put-contact-information-root",
    "put-contact-information-user",
    "put-contact-information-no-parameters",
}
EVENTS: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text())
    for file in sorted((ROOT / "tests" / "events").glob("*.json"))
}

Matcher = Callable[[dict[str, Any], dict[str, Any]], bool]


def moto_matches(pattern: dict[str, Any], event: Any) -> bool:
    """Tell what moto's matcher says."""
    return bool(EventPattern.load(json.dumps(pattern)).matches_event(event))


MATCHERS: dict[str, Matcher] = {"documentation": matches, "moto": moto_matches}


def matched(pattern: dict[str, Any], matcher: Matcher = matches) -> set[str]:
    """Return the names of the events that a pattern matches."""
    return {name for name, event in EVENTS.items() if matcher(pattern, event)}

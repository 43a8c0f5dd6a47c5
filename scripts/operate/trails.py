"""Which trails make EventBridge see a contact change."""

import re
from typing import Any

from operate.aws import Aws

Json = dict[str, Any]
# A stack's own trail would vanish once it is taken for one that is there anyway; another
# environment's goes with that.
OWN = re.compile(r"aws-contact-sync-.*-trail")


def find_trail(aws: Aws, *, own: bool) -> str | None:
    """Return a trail that logs management events where they come up; our own only if wanted."""
    home = aws.events_region
    for trail in aws.client("cloudtrail", home).describe_trails()["trailList"]:
        reaches = trail.get("IsMultiRegionTrail") or trail["HomeRegion"] == home
        if (
            reaches
            and (own or not OWN.fullmatch(trail["Name"]))
            and _logs_management_events(aws, trail)
        ):
            return str(trail["Name"])
    return None


def _logs_management_events(aws: Aws, trail: Json) -> bool:
    """Return whether the trail is on, and logs what changes something."""
    client = aws.client("cloudtrail", trail["HomeRegion"])
    if not client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]:
        return False
    selectors = client.get_event_selectors(TrailName=trail["TrailARN"])
    return any(
        one.get("IncludeManagementEvents") and one.get("ReadWriteType") != "ReadOnly"
        for one in selectors.get("EventSelectors", [])
    ) or any(_selects_changes(one) for one in selectors.get("AdvancedEventSelectors", []))


def _selects_changes(selector: Json) -> bool:
    fields = {one["Field"]: one.get("Equals", []) for one in selector["FieldSelectors"]}
    return "Management" in fields.get("eventCategory", []) and "true" not in fields.get(
        "readOnly", []
    )

"""The trails through which EventBridge receives contact changes."""

import re
from typing import Any

from operate.aws import Aws

Json = dict[str, Any]
# Trails of our stacks: if a stack relied on its own, the next deployment would delete it; if it
# relied on another environment's, that environment's deletion would.
OWN = re.compile(r"aws-contact-sync-.*-trail")


def find_trail(aws: Aws, *, own: bool) -> str | None:
    """Return a trail that logs management events of account changes; with `own`, also ours."""
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
    """Return whether the trail is logging, and logs management write events."""
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

"""The forwarding stacks, which forward events from other regions to the stack's region."""

from collections.abc import Iterator

from operate.aws import Aws
from operate.change_sets import Wanted, apply
from operate.console import note
from operate.operations import delete_stack, wait_until_idle
from operate.parameters import ROOT
from operate.stacks import HALF, Stack

TEMPLATE = ROOT / "scripts/forwarding.yaml"
SHARED = ("ManagementAccountId", "NotificationEmail", "Triggers", "PermissionsBoundary")


def forwarding_stack(name: str) -> str:
    """Return the name of the stack's forwarding stacks."""
    return f"{name}-forwarding"


def regions_to_forward(aws: Aws, tower: str) -> dict[str, str]:
    """Return the kind of events to forward, by region; `tower` is Control Tower's, or empty."""
    regions = {tower: "ControlTower"} if tower else {}
    regions[aws.events_region] = "Both" if tower == aws.events_region else "Account"
    return {region: kind for region, kind in regions.items() if region != aws.region}


def keep_forwarding(aws: Aws, stack: Stack, old_tower: str) -> list[Stack]:
    """Create or update the forwarding stacks and return them; delete that of a former region."""
    role_arn = stack.described.get("RoleARN")
    wanted = regions_to_forward(aws, stack.parameters["ControlTowerRegion"])
    for region, kind in wanted.items():
        note(f"Forwarding the events of {region} ({kind})")
        parameters = {name: stack.parameters[name] for name in SHARED}
        parameters |= {"Kind": kind, "HomeRegion": aws.region}
        template = {"TemplateBody": TEMPLATE.read_text()}
        name = forwarding_stack(stack.name)
        found = wait_until_idle(aws, name, region)
        if found and found.status in (*HALF, "ROLLBACK_COMPLETE"):
            delete_stack(found)  # it is incomplete, and cannot be updated
        tags = (found.tags if found else {}) | stack.tags
        apply(aws, Wanted(name, template, parameters, tags, role_arn, region))
    former = set(regions_to_forward(aws, old_tower)) - set(wanted)
    for found in find_forwarding(aws, stack.name, former):
        note(f"Deleting {found.name} in {found.region}")
        delete_stack(found)
    return list(find_forwarding(aws, stack.name, set(wanted)))


def find_forwarding(aws: Aws, name: str, regions: set[str]) -> Iterator[Stack]:
    """Yield the forwarding stacks in these regions that forward to this region."""
    for region in sorted(regions):
        found = wait_until_idle(aws, forwarding_stack(name), region)
        if found and found.parameters.get("HomeRegion") == aws.region:
            yield found

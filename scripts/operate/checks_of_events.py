"""Checks of the triggers of executions, and of the notifications."""

from collections.abc import Generator

from operate.aws import each, pages
from operate.checks import Check, Note, Notes, Site, fail, warn
from operate.forwarding import forwarding_stack, regions_to_forward
from operate.stacks import Stack, find_stack
from operate.trails import find_trail

FORWARDING_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


def rules(site: Site) -> Notes:
    """Check that each rule is enabled and has a target."""
    client = site.aws.client("events")
    targets = [site.stack.output(name) for name in ("StateMachineArn", "NotificationTopicArn")]
    found = pages(client, "list_rules", "Rules", NamePrefix=f"{site.stack.name}-")
    states = {one["Name"]: one["State"] for one in found}
    used = {
        name
        for _, names in each(
            lambda one: pages(client, "list_rule_names_by_target", "RuleNames", TargetArn=one),
            targets,
        )
        for name in names
    }
    names = site.stack.names["AWS::Events::Rule"]
    for name in names:
        if name not in states:
            yield fail(f"{name} was deleted outside CloudFormation: {site.repair}")
        elif name not in used:
            yield fail(f"{name} has no target: {site.repair}")
        elif states[name] == "DISABLED" and site.triggers == "ENABLED":
            enable = f"aws events enable-rule --name {name} {site.aws.options()}"
            yield warn(f"{name} is disabled: {enable}")
    if site.triggers == "DISABLED":
        yield warn("Triggers is DISABLED: no event starts an execution until deploy.sh --resume")
    return f"{len(names)} enabled"


def schedule(site: Site) -> Notes:
    """Check that full runs start regularly."""
    names = site.stack.names["AWS::Scheduler::Schedule"]
    if not names:
        yield warn(
            "no schedule, so that nothing reverts changes in member accounts or makes up for lost "
            f"events: {site.deploy} --schedule 'cron(0 3 * * ? *)'"
        )
    client = site.aws.client("scheduler")
    for name in names:
        last = name.rpartition("/")[2]
        state = client.get_schedule(GroupName=site.stack.name, Name=last)["State"]
        if state != "ENABLED":
            yield warn(f"{state}: paused with --paused, or outside CloudFormation")
    return "enabled"


def trail(site: Site) -> Notes:
    """Check that a trail delivers changes to EventBridge."""
    if name := find_trail(site.aws, own=True):
        return f"{name} logs management events"
    home = site.aws.events_region
    yield warn(
        f"no trail logs management events in {home}, so that only the schedule finds changes: "
        "create a trail"
    )
    return ""


def forwarding(site: Site) -> Notes:
    """Check the stacks that forward events from other regions."""
    tower = site.stack.parameters.get("ControlTowerRegion", "")
    regions = regions_to_forward(site.aws, tower)
    for region, kind in regions.items():
        yield from _forwarding_of(site, region, kind)
    told = ", ".join(f"{kind} from {region}" for region, kind in regions.items())
    return told or f"not needed: {site.aws.region} receives the events"


def _forwarding_of(site: Site, region: str, kind: str) -> Generator[Note, None, None]:
    name = forwarding_stack(site.stack.name)
    found = find_stack(site.aws, name, region)
    if not found:
        yield fail(f"there is no {name} in {region}: {site.deploy}")
        return
    if found.status not in FORWARDING_GOOD:
        yield fail(f"{name} in {region} is {found.status}: see its events, then {site.deploy}")
    kinds = (kind, "Both")
    wanted = {"HomeRegion": (site.aws.region,), "Kind": kinds, "Triggers": (site.triggers,)}
    for parameter, values in wanted.items():
        if (value := found.parameters.get(parameter)) not in values:
            yield (warn if parameter == "Triggers" else fail)(
                f"{name} in {region} has {parameter} {value}, not {values[0]}: {site.deploy}"
            )
    yield from _forwarding_rules(site, region, name)
    yield from _subscriptions(site, found)


def _forwarding_rules(site: Site, region: str, name: str) -> Generator[Note, None, None]:
    client = site.aws.client("events", region)
    found = pages(client, "list_rules", "Rules", NamePrefix=f"{name}-")
    wrong = f"delete {name} in {region}, then {site.deploy}"
    if not found:
        yield fail(f"{name} in {region} has no rules: {wrong}")
    for rule in found:
        if rule["State"] == "DISABLED" and site.triggers == "ENABLED":
            enable = f"aws events enable-rule --name {rule['Name']} {site.aws.options(region)}"
            yield warn(f"{rule['Name']} in {region} is disabled: {enable}")
        targets = client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        bus = f":{site.aws.region}:{site.manager}:event-bus/default"
        if not any(one["Arn"].endswith(bus) for one in targets):
            yield fail(f"{rule['Name']} in {region} does not forward to {site.aws.region}: {wrong}")


def topic(site: Site) -> Notes:
    """Check that somebody is subscribed."""
    arn = site.stack.output("NotificationTopicArn")
    client = site.aws.client("sns")
    attributes = client.get_topic_attributes(TopicArn=arn)["Attributes"]
    if attributes.get("KmsMasterKeyId", "").endswith("alias/aws/sns"):
        yield fail(f"alarms cannot publish, because its key is alias/aws/sns: {site.repair}")
    return (yield from _subscriptions(site, site.stack))


def _subscriptions(site: Site, stack: Stack) -> Notes:
    found, topic = stack.subscriptions(), f"{stack.name}-notifications"
    pending = sum(one["SubscriptionArn"] == "PendingConfirmation" for one in found)
    email = stack.parameters.get("NotificationEmail", "")
    if pending:
        yield warn(
            f"{pending} subscriptions to {topic} are not confirmed: open the link in the e-mail "
            "from AWS; after 48 hours, AWS deletes them"
        )
    elif email and email not in {one["Endpoint"] for one in found}:
        # AWS deletes unconfirmed subscriptions, which CloudFormation does not detect.
        yield warn(
            f"the address of NotificationEmail is not subscribed to {topic}: {site.deploy} "
            "subscribes it again"
        )
    elif not found:
        yield warn(
            f"nobody is subscribed to {topic}: deploy with --notification-email, or use aws "
            "sns subscribe"
        )
    return f"{len(found) - pending} subscribed"


CHECKS: tuple[Check, ...] = (rules, schedule, trail, forwarding, topic)

"""Checks of the account, and of the stack and its resources."""

from contact_sync.aws.organization import ACCOUNT_MANAGEMENT, OrganizationClient

from operate.aws import each, pages
from operate.checks import Check, Notes, Site, fail, warn
from operate.stacks import HALF, NEVER_DEPLOYED

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


def stack(site: Site) -> Notes:
    """Check how its last operation ended."""
    status = site.stack.status
    told = f"{site.stack.name} is {status}"
    if status == "UPDATE_ROLLBACK_COMPLETE":
        yield warn(
            f"{told}: the last deployment failed and was rolled back; deploy again, or if that "
            f"changes nothing: {site.repair}"
        )
    elif site.stack.is_changing:
        yield warn(f"{told}: validate again when this has ended")
    elif status in NEVER_DEPLOYED:
        yield fail(f"{told}, and was never deployed: {site.deploy}")
    elif status in HALF:
        yield fail(f"{told}: {site.command('rollback')} --delete, then deploy again")
    elif status not in GOOD:
        yield fail(f"{told}: {site.command('rollback')}, then deploy again")
    return told


def partition(site: Site) -> Notes:
    """Warn in a partition where nothing was tested."""
    name = site.aws.partition
    if name != "aws":
        yield warn(
            f"not tested in {name}: event names, request quotas, and whether contacts can be "
            "changed at all (in China, the country and company of a primary contact cannot, and "
            "are kept); begin with a dry run"
        )
    return name


def termination_protection(site: Site) -> Notes:
    """Check that termination protection is on for prod."""
    if site.environment != "prod":
        return f"not used in {site.environment}"
    if not site.stack.described.get("EnableTerminationProtection"):
        yield warn(
            "off: aws cloudformation update-termination-protection "
            f"--enable-termination-protection --stack-name {site.stack.name} {site.aws.options()}"
        )
    return "on"


def account(site: Site) -> Notes:
    """Check that the stack is in the management account."""
    caller, _ = site.aws.caller
    if caller != site.manager:
        yield fail(
            f"the stack is in {caller}, but its ManagementAccountId is {site.manager}: deploy it "
            "in the management account"
        )
    return f"{site.manager}, as the stack's ManagementAccountId"


def organization(site: Site) -> Notes:
    """Check the prerequisites of access to member contacts."""
    OrganizationClient(site.aws.client("organizations")).check(site.manager)
    yield from ()
    return f"all features, and trusted access for {ACCOUNT_MANAGEMENT}"


def functions(site: Site) -> Notes:
    """Check that they can be invoked, and have their environment variables."""
    client = site.aws.client("lambda")
    names = site.stack.names["AWS::Lambda::Function"]
    for name, told in each(lambda one: client.get_function_configuration(FunctionName=one), names):
        state, update = told.get("State"), told.get("LastUpdateStatus")
        if state not in ("Active", "Inactive") or update == "Failed":
            yield fail(f"{name} is {state}, its last update is {update}: {site.repair}")
        # If one variable is missing, all of them are.
        variables = told.get("Environment", {}).get("Variables", {})
        if variables.get("RUNS_BUCKET_NAME") != site.stack.output("RunsBucketName"):
            yield fail(f"{name} has lost its environment variables: {site.repair}")
    return f"{len(names)} ready"


def state_machine(site: Site) -> Notes:
    """Check that it can start executions."""
    arn = site.stack.output("StateMachineArn")
    client = site.aws.client("stepfunctions")
    status = client.describe_state_machine(stateMachineArn=arn)["status"]
    if status != "ACTIVE":
        yield fail(f"{arn.rpartition(':')[2]} is {status}: {site.repair}")
    return "active"


def tables(site: Site) -> Notes:
    """Check that they are active, encrypted and, in prod, recoverable."""
    client = site.aws.client("dynamodb")
    names = [site.stack.output(f"{name}TableName") for name in ("Config", "State")]
    for name, told in each(lambda one: client.describe_table(TableName=one)["Table"], names):
        if told["TableStatus"] not in ("ACTIVE", "UPDATING"):
            yield fail(
                f"{name} is {told['TableStatus']}: if its key or its data is lost, delete the "
                "stack, deploy, and restore a backup"
            )
        if told.get("SSEDescription", {}).get("Status") not in ("ENABLED", "UPDATING"):
            yield warn(f"{name} is not encrypted with the stack's key: {site.repair}")
    if site.environment == "prod":
        answers = each(lambda one: client.describe_continuous_backups(TableName=one), names)
        for name, told in answers:
            recovery = told["ContinuousBackupsDescription"].get(
                "PointInTimeRecoveryDescription", {}
            )
            if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
                yield warn(f"{name} has no point-in-time recovery: {site.repair}")
    return "2 active"


def key(site: Site) -> Notes:
    """Check the stack's encryption key."""
    alias = f"alias/{site.stack.name}"
    told = site.aws.client("kms").describe_key(KeyId=alias)["KeyMetadata"]
    if told["KeyState"] != "Enabled":
        which = f"--key-id {told['KeyId']} {site.aws.options()}"
        yield fail(
            f"{alias} is {told['KeyState']}, so that no data can be read: aws kms "
            f"cancel-key-deletion {which}, then aws kms enable-key {which}"
        )
    return "enabled"


def alarms(site: Site) -> Notes:
    """Check that they exist, publish, and are not in alarm."""
    client = site.aws.client("cloudwatch")
    prefix = f"{site.stack.name}-"
    found = pages(client, "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    by_name = {one["AlarmName"]: one for one in found}
    names = site.stack.names["AWS::CloudWatch::Alarm"]
    for name in names:
        told = by_name.get(name)
        if not told:
            yield fail(f"{name} was deleted outside CloudFormation: {site.repair}")
            continue
        if told["StateValue"] == "ALARM":
            yield warn(f"{name} is in alarm: see {site.stack.output('DashboardUrl')}")
        if not told["ActionsEnabled"]:
            yield warn(
                f"{name} notifies nobody: aws cloudwatch enable-alarm-actions --alarm-names {name} "
                f"{site.aws.options()}"
            )
    return f"{len(names)}, none in alarm"


def dead_letters(site: Site) -> Notes:
    """Check for events that started no execution."""
    name = "ApproximateNumberOfMessages"
    url = site.stack.output("DeadLetterQueueUrl")
    answer = site.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    if (count := answer["Attributes"][name]) != "0":
        yield warn(f"{count} events started no execution: {site.command('redrive-dlq')}")
    return "none"


BEFORE: tuple[Check, ...] = (
    *(stack, partition, termination_protection, account, organization),
    *(functions, state_machine, tables, key),
)
AFTER: tuple[Check, ...] = (alarms, dead_letters)

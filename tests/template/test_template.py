"""The template matches the names that others use, the guide's numbers and the deployed files."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from contact_sync.config import parse_config
from support import asl
from support.stack import ROOT, Stack, forwarding_template, source_template
from template import function_code

ENVIRONMENTS = ("dev", "staging", "prod")
FUNCTIONS = {
    "ContactSyncHandlerFunction": "contact-sync-handler",
    "AccountListerFunction": "account-lister",
    "AlternateContactProcessorFunction": "alternate-contact-processor",
    "PrimaryContactProcessorFunction": "primary-contact-processor",
    "SyncReporterFunction": "sync-reporter",
}
# Read by Powertools, not by the functions' settings.
POWERTOOLS_VARIABLES = {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"}


@pytest.fixture(params=ENVIRONMENTS, name="environment")
def _environment(request: pytest.FixtureRequest) -> str:
    environment: str = request.param
    return environment


class TestParameters:
    def test_every_one_is_constrained(self, template: dict[str, Any]) -> None:
        """Each parameter has a pattern, a list of values or a range, and says what is wrong."""
        unconstrained = {
            name
            for one in (template, forwarding_template())
            for name, parameter in one["Parameters"].items()
            if not parameter.keys() & {"AllowedPattern", "AllowedValues", "MaxValue"}
            or not parameter.get("ConstraintDescription")
        }

        assert set() == unconstrained

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("ManagementAccountId", ["012345678901"], ["", "12345678901", "12345678901a"]),
            ("OrganizationId", ["o-exampleorg1"], ["", "exampleorg1", "o-SHORT", "o-a/b"]),
            ("NotificationEmail", ["", "team@example.com"], ["team", "a b@example.com", "a@b"]),
            (
                "ScheduleExpression",
                ["", "rate(1 day)", "rate(12 hours)", "cron(0 3 * * ? *)", "cron(0 3 ? * MON#1 *)"],
                [
                    "daily",
                    "rate(0 days)",
                    "rate(1 week)",
                    "cron(0 3 * * *)",
                    "cron(0 3 * * * *)",
                    "cron(0 3 ? * ? *)",
                    "at(2026-11-24T03:00)",
                ],
            ),
            # CloudFormation's numbers may have fractions, which alarm and bucket refuse.
            ("MostHoursWithoutRun", ["0", "25", "168"], ["", "25.5", "169", "00"]),
            ("KeepReplacedDays", ["0", "30", "400"], ["", "0.5", "401", "-1"]),
        ],
    )
    def test_patterns(
        self, template: dict[str, Any], name: str, good: list[str], bad: list[str]
    ) -> None:
        """A pattern accepts valid values and refuses invalid ones."""
        pattern = template["Parameters"][name]["AllowedPattern"]

        assert good == [value for value in good + bad if re.fullmatch(pattern, value)]

    def test_only_the_accounts_identity_is_required(self, template: dict[str, Any]) -> None:
        """Everything has a default, except the two IDs that only the caller knows."""
        required = {name for name, each in template["Parameters"].items() if "Default" not in each}

        assert {"ManagementAccountId", "OrganizationId"} == required


class TestNames:
    def test_environments_share_no_name(self, expanded: dict[str, Any]) -> None:
        """All three can be deployed to one account, side by side."""
        names = [
            Stack(expanded, each, CreateTrail="true").physical_names() for each in ENVIRONMENTS
        ]

        assert sum(map(len, names)) == len(set.union(*names))

    def test_handler_and_name_agree(self, stack: Stack) -> None:
        """A function's folder is its name with underscores."""
        handlers = {
            each["FunctionName"]: each["Handler"]
            for each in stack.of_type("AWS::Lambda::Function").values()
        }
        expected = {
            f"aws-contact-sync-dev-{name}": f"{name.replace('-', '_')}.handler.lambda_handler"
            for name in FUNCTIONS.values()
        }

        assert expected == handlers

    def test_outputs(self, stack: Stack) -> None:
        """Scripts find what they need, under the names in the design."""
        outputs = {
            "StateMachineArn": stack.arn("ContactSyncStateMachine"),
            "StateMachineName": "aws-contact-sync-dev-contact-sync",
            "ConfigTableName": "aws-contact-sync-dev-config",
            "StateTableName": "aws-contact-sync-dev-state",
            "NotificationTopicArn": stack.arn("NotificationTopic"),
            "RunsBucketName": "aws-contact-sync-dev-runs-999999999999-us-east-1",
            "DeadLetterQueueUrl": "aws-contact-sync-dev-dlq",
            "DashboardUrl": "https://console.aws.amazon.com/cloudwatch/home?region=us-east-1"
            "#dashboards:name=aws-contact-sync-dev-dashboard",
        }

        assert outputs == {name: stack.output(name) for name in outputs}
        others = {"ControlTowerRegion", "DefaultConfiguration", "Release", "TerminationProtection"}
        assert outputs.keys() | others == set(stack.template["Outputs"])


class TestBoundary:
    """An organization may require a permissions boundary for every role."""

    BOUNDARY = "arn:aws:iam::999999999999:policy/boundary"

    @pytest.mark.case("E9")
    @pytest.mark.parametrize("boundary", [BOUNDARY, ""])
    def test_every_role(self, expanded: dict[str, Any], boundary: str) -> None:
        """Including the roles that SAM creates for rules, and the forwarding stack's."""
        stacks = [
            Stack(expanded, PermissionsBoundary=boundary),
            Stack(forwarding_template(), HomeRegion="eu-west-1", PermissionsBoundary=boundary),
        ]

        roles = [role for stack in stacks for role in stack.of_type("AWS::IAM::Role").values()]

        assert {boundary} == {role.get("PermissionsBoundary", "") for role in roles}
        assert 19 == len(roles)


class TestRules:
    @pytest.mark.case("D9")
    def test_rules_that_start_the_machine_are_its_events(self) -> None:
        """SAM creates rule, target and role from an event."""
        rules = [
            name
            for name, resource in source_template()["Resources"].items()
            if resource["Type"] == "AWS::Events::Rule"
            and "ContactSyncStateMachine" in str(resource["Properties"]["Targets"])
        ]

        assert [] == rules


class TestReplacement:
    HOLDS_DATA = ("DynamoDB::Table", "S3::Bucket", "SecretsManager::Secret", "SQS::Queue")

    @pytest.mark.case("E10")
    def test_a_replaced_resource_with_data_is_retained(self, expanded: dict[str, Any]) -> None:
        """An update that replaces a resource with data, or its key, retains the old one."""
        kinds = {f"AWS::{kind}" for kind in (*self.HOLDS_DATA, "KMS::Key")}
        policies = {
            (name, resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            for template in (expanded, forwarding_template())
            for name, resource in template["Resources"].items()
            if resource["Type"] in kinds
        }

        assert 7 == len(policies)
        assert {("Delete", "Retain")} == {policy[1:] for policy in policies}


class TestEnvironments:
    def test_each_has_its_values(self, expanded: dict[str, Any], environment: str) -> None:
        """The deployed values are those of the mapping, which scripts/README.md lists."""
        values = expanded["Mappings"]["Environments"][environment]
        stack = Stack(expanded, environment)
        logs = stack.of_type("AWS::Logs::LogGroup").values()
        tables = stack.of_type("AWS::DynamoDB::Table").values()
        functions = stack.of_type("AWS::Lambda::Function").values()
        recovery = {"PointInTimeRecoveryEnabled": values["PointInTimeRecovery"]}

        assert {values["LogRetentionDays"]} == {each["RetentionInDays"] for each in logs}
        assert [recovery] * 2 == [each["PointInTimeRecoverySpecification"] for each in tables]
        assert {values["LogLevel"]} == {
            each["Environment"]["Variables"]["LOG_LEVEL"] for each in functions
        }
        assert values["KeyDeletionDays"] == stack.properties("Key")["PendingWindowInDays"]
        for alarm, key in (
            ("ContactSyncErrorsAlarm", "HandlerErrorsToAlarm"),
            ("AccountProcessorErrorsAlarm", "FailedAccountsToAlarm"),
        ):
            assert values[key] == stack.properties(alarm)["Threshold"]

    def test_logs_can_be_chosen(self, expanded: dict[str, Any], environment: str) -> None:
        """The parameters win over the environment."""
        stack = Stack(expanded, environment, LogRetentionDays=14, LogLevel="ERROR")
        logs = stack.of_type("AWS::Logs::LogGroup").values()
        functions = stack.of_type("AWS::Lambda::Function").values()

        assert {"14"} == {each["RetentionInDays"] for each in logs}
        assert {"ERROR"} == {each["Environment"]["Variables"]["LOG_LEVEL"] for each in functions}

    def test_limits_grow_from_dev_to_prod(self, expanded: dict[str, Any]) -> None:
        """Memory and concurrency are reduced in dev, moderate in staging, high in prod."""
        handlers = [
            Stack(expanded, each).properties("ContactSyncHandlerFunction") for each in ENVIRONMENTS
        ]
        memory = [each["MemorySize"] for each in handlers]
        concurrency = [
            int(each["Environment"]["Variables"]["MAX_CONCURRENCY"]) for each in handlers
        ]

        for numbers in (memory, concurrency):
            assert sorted(set(numbers)) == numbers
        assert concurrency[-1] < 10, "some accounts have a Lambda concurrency limit of 10"

    def test_no_concurrency_is_reserved(self, stack: Stack) -> None:
        """A reservation fails to deploy in accounts whose concurrency limit is 10."""
        functions = stack.of_type("AWS::Lambda::Function").values()

        assert not [each for each in functions if "ReservedConcurrentExecutions" in each]

    def test_tracing(self, expanded: dict[str, Any], environment: str) -> None:
        """Functions and machine are traced, and may send traces, except in production."""
        is_traced = environment != "prod"
        stack = Stack(expanded, environment)
        modes = {
            each["TracingConfig"]["Mode"]
            for each in stack.of_type("AWS::Lambda::Function").values()
        }
        machine = stack.properties("ContactSyncStateMachine")

        assert {"Active" if is_traced else "PassThrough"} == modes
        assert {"Enabled": is_traced} == machine["TracingConfiguration"]
        assert is_traced == bool(stack.of_type("AWS::IAM::ManagedPolicy"))

    def test_default_configuration(self, expanded: dict[str, Any], environment: str) -> None:
        """It is the guide's; dev also reports successes; and the functions accept it."""
        notify_on_success = environment == "dev"
        item = json.loads(Stack(expanded, environment).output("DefaultConfiguration"))
        guide = {
            "config_key": "default",
            "contact_types": ["primary", "billing", "operations", "security"],
            "excluded_accounts": [],
            "retry_config": {"max_attempts": 3, "base_delay": 2, "max_delay": 60},
            "notification_settings": {
                "notify_on_failure": True,
                "notify_on_success": notify_on_success,
                "notify_on_partial_failure": True,
                "failure_threshold": 1,
            },
        }

        assert guide == item
        assert notify_on_success == parse_config(item).notification_settings.notify_on_success

    @pytest.mark.parametrize(
        ("email", "endpoints"), [("", []), ("team@example.com", ["team@example.com"])]
    )
    def test_subscription(self, expanded: dict[str, Any], email: str, endpoints: list[str]) -> None:
        """Only an e-mail address is subscribed."""
        for template in (expanded, forwarding_template()):
            stack = Stack(template, HomeRegion="eu-west-1", NotificationEmail=email)
            subscriptions = stack.of_type("AWS::SNS::Subscription").values()

            assert endpoints == [each["Endpoint"] for each in subscriptions]


class TestFunctions:
    @pytest.mark.parametrize("logical_id", FUNCTIONS)
    def test_environment_is_what_the_code_reads(self, stack: Stack, logical_id: str) -> None:
        """A function gets every variable that its code reads, and no other."""
        properties = stack.properties(logical_id)

        assert (
            function_code.settings_read(properties["Handler"]) | POWERTOOLS_VARIABLES
            == properties["Environment"]["Variables"].keys()
        )

    @pytest.mark.rule(2)
    def test_packages_what_its_code_imports(self) -> None:
        """The runtime's own boto3 may not know an account's State."""
        required = re.findall(
            r"^([\w-]+)==", (ROOT / "functions/requirements.txt").read_text(), re.MULTILINE
        )
        pinned = {"botocore", "pydantic_core"}  # by boto3 and pydantic

        assert {name.replace("-", "_") for name in required} | pinned == function_code.packages()

    def test_each_logs_to_its_own_group(self, stack: Stack) -> None:
        """No two functions share a log group, and every group is the template's."""
        groups = {
            each["FunctionName"]: each["LoggingConfig"]["LogGroup"]
            for each in stack.of_type("AWS::Lambda::Function").values()
        }

        assert {name: f"/aws/lambda/{name}" for name in groups} == groups


class TestStateMachine:
    def test_substitutions_are_the_placeholders(self, stack: Stack) -> None:
        """Every placeholder of the definition is substituted, and every substitution is used."""
        properties = stack.properties("ContactSyncStateMachine")
        placeholders = set(re.findall(r"\$\{(\w+)\}", asl.DEFINITION.read_text()))

        assert placeholders == set(properties["DefinitionSubstitutions"])

    @pytest.mark.rule(16)
    def test_tasks_outlast_their_functions(self, stack: Stack) -> None:
        """A Task never gives up on a function that still runs."""
        timeouts = {
            f"${{{logical_id}Arn}}": properties["Timeout"]
            for logical_id, properties in stack.of_type("AWS::Lambda::Function").items()
        }
        calls = [
            (name, state["TimeoutSeconds"], timeouts[state["Arguments"]["FunctionName"]])
            for name, state in asl.states(asl.load()).items()
            if state.get("Resource", "").endswith("lambda:invoke")
        ]

        assert calls
        assert [] == [call for call in calls if call[1] < call[2]]

    @pytest.mark.rule(12)
    def test_log_is_free_of_execution_data(self, stack: Stack) -> None:
        """The machine logs errors to its own group, without inputs and outputs."""
        destination = {
            "CloudWatchLogsLogGroup": {"LogGroupArn": stack.arn("ContactSyncStateMachineLogGroup")}
        }
        expected = {"Level": "ERROR", "IncludeExecutionData": False, "Destinations": [destination]}

        assert expected == stack.properties("ContactSyncStateMachine")["LoggingConfiguration"]


class TestData:
    def test_state_expires(self, stack: Stack) -> None:
        """Items expire by the attribute that the functions set."""
        expiry = stack.properties("StateTable")["TimeToLiveSpecification"]

        assert {"AttributeName": "expires_at", "Enabled": True} == expiry

    @pytest.mark.rule(16)
    def test_objects_outlive_the_longest_run(self, stack: Stack) -> None:
        """A run may last until the machine's timeout; a dead run's objects expire soon after."""
        rule, _ = stack.properties("RunsBucket")["LifecycleConfiguration"]["Rules"]
        longest_run = timedelta(seconds=asl.load()["TimeoutSeconds"])
        kept = timedelta(days=rule["ExpirationInDays"])

        assert ("Enabled", "runs/") == (rule["Status"], rule["Prefix"])
        assert longest_run + timedelta(days=1) < kept <= longest_run + timedelta(days=3)

    @pytest.mark.parametrize(("days", "kept"), [(30, 30), (7, 7), (0, 1)])
    def test_replaced_contacts_expire(self, expanded: dict[str, Any], days: int, kept: int) -> None:
        """With 0, nothing is stored, and what was stored before expires as soon as possible."""
        stack = Stack(expanded, KeepReplacedDays=days)
        _, rule = stack.properties("RunsBucket")["LifecycleConfiguration"]["Rules"]
        functions = stack.of_type("AWS::Lambda::Function").values()
        values = [one["Environment"]["Variables"].get("KEEP_REPLACED_DAYS") for one in functions]

        assert ("Enabled", "replaced/", kept) == (
            rule["Status"],
            rule["Prefix"],
            int(rule["ExpirationInDays"]),
        )
        assert 3 == values.count(str(days))

    def test_nothing_is_left_to_block_the_next_deployment(self, expanded: dict[str, Any]) -> None:
        """No resource with a fixed name outlives its stack, and no rollback is refused."""
        resources = expanded["Resources"]

        assert {"Delete"} == {each.get("DeletionPolicy", "Delete") for each in resources.values()}
        assert "DeletionProtectionEnabled" not in json.dumps(resources)

    def test_dashboard_shows_what_the_guide_lists(self, stack: Stack) -> None:
        """Invocations, errors and duration of every function, tables, queue and executions."""
        widgets = json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]
        metrics = [metric for each in widgets for metric in each["properties"]["metrics"]]
        shown = {part for metric in metrics for part in metric}
        functions = {f"aws-contact-sync-dev-{name}" for name in FUNCTIONS.values()}

        assert functions <= shown
        assert {"Invocations", "Errors", "Duration"} <= shown
        assert {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"} <= shown
        assert {"ApproximateNumberOfMessagesVisible", "aws-contact-sync-dev-dlq"} <= shown
        assert {"ExecutionsFailed", stack.arn("ContactSyncStateMachine")} <= shown


def test_no_iam_resource_has_a_name(stack: Stack) -> None:
    """Two environments in one account cannot collide, and CAPABILITY_IAM is enough."""
    forwarding = Stack(forwarding_template(), HomeRegion="eu-west-1", Kind="Both")
    resources = [
        each
        for one in (stack, forwarding)
        for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
        for each in one.of_type(kind).values()
    ]

    assert set() == {key for each in resources for key in each if key.endswith("Name")}

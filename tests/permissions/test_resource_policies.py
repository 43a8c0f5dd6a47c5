"""The policies of key, topic, queue and bucket allow the necessary callers, and no others."""

from typing import Any, ClassVar

import pytest
from permissions.calls import OVER_TLS
from permissions.grants import documents, granted
from permissions.policy import ANYONE, Decision, Principal, Request, decide
from support.stack import ACCOUNT, REGION, Stack, event_rule

OTHER_ACCOUNT = "111111111111"
EVENTS = Principal(service="events.amazonaws.com")
ALARMS = Principal(service="cloudwatch.amazonaws.com")
OUTSIDER = Principal(arn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/Outsider")
OTHER_SERVICES = [
    Principal(service=f"{name}.amazonaws.com")
    for name in ("lambda", "s3", "scheduler", "ses", "sns", "states")
]
STRANGERS = [ANYONE, OUTSIDER, *OTHER_SERVICES]

OWN = {**OVER_TLS, "aws:SourceAccount": ACCOUNT}
ANOTHERS = {**OVER_TLS, "aws:SourceAccount": OTHER_ACCOUNT}
WITHOUT_TLS = {"aws:SecureTransport": "false"}

USE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
MANAGE_KEY = ("kms:CreateGrant", "kms:Encrypt", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion")


def policy_of(stack: Stack, resource_type: str) -> dict[str, Any]:
    [policy] = stack.of_type(resource_type).values()
    document: dict[str, Any] = policy["PolicyDocument"]
    return document


@pytest.fixture(params=["stack", "forwarding"], name="either")
def _either(request: pytest.FixtureRequest) -> Stack:
    """Return the stack and then the forwarding stack: each has a key, a topic and a queue."""
    found: Stack = request.getfixturevalue(request.param)
    return found


class TestKey:
    def decide(
        self, stack: Stack, action: str, who: Principal, context: dict[str, str]
    ) -> Decision:
        policy = stack.properties("Key")["KeyPolicy"]
        return decide([policy], Request(action, stack.arn("Key"), who, context))

    @pytest.mark.rule(14)
    @pytest.mark.parametrize("action", USE_KEY)
    def test_events_use_it_without_source_conditions(self, either: Stack, action: str) -> None:
        assert Decision.ALLOW == self.decide(either, action, EVENTS, {})

    @pytest.mark.rule(14)
    @pytest.mark.parametrize("action", USE_KEY)
    def test_only_alarms_of_this_account_use_it(self, either: Stack, action: str) -> None:
        assert Decision.ALLOW == self.decide(either, action, ALARMS, OWN)
        assert Decision.NOTHING == self.decide(either, action, ALARMS, ANOTHERS)
        assert Decision.NOTHING == self.decide(either, action, ALARMS, {})

    @pytest.mark.parametrize("action", MANAGE_KEY)
    @pytest.mark.parametrize("who", [EVENTS, ALARMS])
    def test_services_can_only_use_it(self, either: Stack, who: Principal, action: str) -> None:
        assert Decision.NOTHING == self.decide(either, action, who, OWN)

    def test_the_rest_is_left_to_the_accounts_own_policies(self, stack: Stack) -> None:
        """The key's policy lets the account decide, and the account lets roles no more than use."""
        role = Principal(arn=stack.arn("ContactSyncHandlerRole"))

        assert Decision.ALLOW == self.decide(stack, "kms:Decrypt", role, {})
        of_key = {grant.action for grant in granted(stack) if grant.action.startswith("kms:")}
        assert {*USE_KEY, "kms:DescribeKey", "kms:Encrypt"} == of_key


class TestTopic:
    def decide(self, stack: Stack, who: Principal, context: dict[str, str]) -> Decision:
        topic = stack.arn("NotificationTopic")
        policy = policy_of(stack, "AWS::SNS::TopicPolicy")
        return decide([policy], Request("sns:Publish", topic, who, context))

    def test_its_policy_is_attached(self, either: Stack) -> None:
        [policy] = either.of_type("AWS::SNS::TopicPolicy").values()

        assert [either.arn("NotificationTopic")] == policy["Topics"]

    @pytest.mark.rule(14)
    def test_events_publish_without_source_conditions(self, stack: Stack) -> None:
        """A rule has the topic as its target."""
        assert Decision.ALLOW == self.decide(stack, EVENTS, {})

    def test_events_publish_nothing_if_no_rule_does(self, forwarding: Stack) -> None:
        assert Decision.NOTHING == self.decide(forwarding, EVENTS, OWN)

    @pytest.mark.rule(14)
    def test_only_alarms_of_this_account_publish(self, either: Stack) -> None:
        assert Decision.ALLOW == self.decide(either, ALARMS, OWN)
        assert Decision.NOTHING == self.decide(either, ALARMS, ANOTHERS)
        assert Decision.NOTHING == self.decide(either, ALARMS, {})

    @pytest.mark.rule(14)
    @pytest.mark.parametrize("who", [EVENTS, ALARMS, *STRANGERS])
    def test_nobody_publishes_without_tls(self, either: Stack, who: Principal) -> None:
        assert Decision.DENY == self.decide(either, who, OWN | WITHOUT_TLS)


class TestQueue:
    def decide(
        self,
        stack: Stack,
        who: Principal,
        context: dict[str, str],
        action: str = "sqs:SendMessage",
    ) -> Decision:
        queue = stack.arn("DeadLetterQueue")
        policy = policy_of(stack, "AWS::SQS::QueuePolicy")
        return decide([policy], Request(action, queue, who, context))

    def test_every_rule_sends_undelivered_events(self, either: Stack) -> None:
        rules = either.of_type("AWS::Events::Rule")

        assert rules
        for rule, properties in rules.items():
            for target in properties["Targets"]:
                source = {"aws:SourceArn": either.arn(rule)}
                assert {"Arn": either.arn("DeadLetterQueue")} == target["DeadLetterConfig"]
                assert Decision.ALLOW == self.decide(either, EVENTS, source)

    @pytest.mark.rule(14)
    @pytest.mark.parametrize(
        "source",
        [
            None,
            f"arn:aws:events:{REGION}:{ACCOUNT}:rule/another",
            f"arn:aws:events:{REGION}:{ACCOUNT}:rule/aws-contact-sync-prod-contact-changed",
            f"arn:aws:events:{REGION}:{OTHER_ACCOUNT}:rule/aws-contact-sync-dev-contact-changed",
            f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/aws-contact-sync-dev-contact-changed",
        ],
    )
    def test_no_other_rule_sends(self, either: Stack, source: str | None) -> None:
        context = {"aws:SourceArn": source} if source else {}

        assert Decision.NOTHING == self.decide(either, EVENTS, context)

    @pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:PurgeQueue", "sqs:DeleteQueue"])
    def test_rules_only_send(self, stack: Stack, action: str) -> None:
        source = {"aws:SourceArn": stack.arn(event_rule("ContactChanged"))}

        assert Decision.NOTHING == self.decide(stack, EVENTS, source, action)

    def test_alarms_send_nothing(self, stack: Stack) -> None:
        source = {**OWN, "aws:SourceArn": stack.arn(event_rule("ContactChanged"))}

        assert Decision.NOTHING == self.decide(stack, ALARMS, source)

    def test_the_schedule_sends_with_its_role_over_tls(self, stack: Stack) -> None:
        policies = [
            *documents(stack, "ScheduleRole"),
            policy_of(stack, "AWS::SQS::QueuePolicy"),
        ]
        role = Principal(arn=stack.arn("ScheduleRole"))
        queue = stack.arn("DeadLetterQueue")

        assert Decision.ALLOW == decide(policies, Request("sqs:SendMessage", queue, role, OVER_TLS))
        assert Decision.DENY == decide(
            policies, Request("sqs:SendMessage", queue, role, WITHOUT_TLS)
        )

    @pytest.mark.parametrize("action", ["sqs:SendMessage", "sqs:ReceiveMessage"])
    @pytest.mark.parametrize("who", [EVENTS, *STRANGERS])
    def test_nobody_uses_it_without_tls(self, either: Stack, who: Principal, action: str) -> None:
        assert Decision.DENY == self.decide(either, who, OWN | WITHOUT_TLS, action)


class TestBucket:
    @pytest.mark.parametrize("who", [EVENTS, ALARMS, *STRANGERS])
    @pytest.mark.parametrize(
        ("action", "resource"),
        [
            ("s3:GetObject", "/runs/sync-id/1/source.json"),
            ("s3:PutObject", "/runs/sync-id/1/source.json"),
            ("s3:ListBucket", ""),
            ("s3:PutBucketPolicy", ""),
        ],
    )
    def test_its_policy_lets_nobody_in(
        self, stack: Stack, who: Principal, action: str, resource: str
    ) -> None:
        policy, asked = policy_of(stack, "AWS::S3::BucketPolicy"), stack.arn("RunsBucket")

        for context, verdict in ((OWN, Decision.NOTHING), (WITHOUT_TLS, Decision.DENY)):
            assert verdict == decide([policy], Request(action, asked + resource, who, context))

    def test_roles_with_access_need_tls(self, stack: Stack) -> None:
        bucket = policy_of(stack, "AWS::S3::BucketPolicy")
        users = {(g.role, g.action, g.resource) for g in granted(stack) if g.action[:3] == "s3:"}

        assert users
        for role, action, objects in users:
            policies = [*documents(stack, role), bucket]
            who, source = Principal(arn=stack.arn(role)), objects.replace("*", "sync-id/1/any")
            # Requests about the bucket itself are for one prefix.
            prefix = {"s3:prefix": "replaced/sync-id/"} if action == "s3:ListBucket" else {}
            for given, verdict in ((OVER_TLS, Decision.ALLOW), (WITHOUT_TLS, Decision.DENY)):
                assert verdict == decide(policies, Request(action, source, who, given | prefix))


class TestTrail:
    """The stack's own trail, if it has one, can use key and bucket; no other trail can.

    The calls are those of CloudTrail's guide, in its pages on key and bucket policies.
    """

    TRAIL = Principal(service="cloudtrail.amazonaws.com")
    OURS: ClassVar = {
        **OVER_TLS,
        "aws:SourceArn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/aws-contact-sync-dev-trail",
        "s3:x-amz-acl": "bucket-owner-full-control",
    }
    OTHERS: ClassVar = {
        **OURS,
        "aws:SourceArn": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/aws-contact-sync-prod-trail",
    }

    def decide(
        self, stack: Stack, action: str, who: Principal, context: dict[str, str], key: str = ""
    ) -> Decision:
        policy, resource = stack.properties("Key")["KeyPolicy"], stack.arn("Key")
        if action.startswith("s3:"):
            policy = stack.properties("TrailBucketPolicy")["PolicyDocument"]
            resource = f"arn:aws:s3:::{stack.properties('Trail')['S3BucketName']}{key}"
        return decide([policy], Request(action, resource, who, context))

    @pytest.mark.case("D2")
    @pytest.mark.parametrize(
        ("action", "key"),
        [
            # For a bucket with a Bucket Key, when the trail is created.
            ("kms:Decrypt", ""),
            ("kms:DescribeKey", ""),
            ("kms:GenerateDataKey", ""),
            ("s3:GetBucketAcl", ""),
            ("s3:PutObject", f"/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/1.json.gz"),
        ],
    )
    def test_the_trail_can_deliver(self, trailed: Stack, action: str, key: str) -> None:
        assert Decision.ALLOW == self.decide(trailed, action, self.TRAIL, self.OURS, key)
        for who, context in ((self.TRAIL, self.OTHERS), (OUTSIDER, self.OURS)):
            assert Decision.NOTHING == self.decide(trailed, action, who, context, key)

    @pytest.mark.parametrize(
        ("action", "key"),
        [
            ("kms:Encrypt", ""),
            ("s3:GetObject", f"/AWSLogs/{ACCOUNT}/1"),
            ("s3:PutObject", f"/AWSLogs/{OTHER_ACCOUNT}/1"),
        ],
    )
    def test_the_trail_can_do_nothing_else(self, trailed: Stack, action: str, key: str) -> None:
        assert Decision.NOTHING == self.decide(trailed, action, self.TRAIL, self.OURS, key)

    def test_nobody_uses_its_bucket_without_tls(self, trailed: Stack) -> None:
        context = self.OURS | WITHOUT_TLS

        assert Decision.DENY == self.decide(trailed, "s3:GetBucketAcl", self.TRAIL, context)


class TestRoles:
    def owners(self, stack: Stack) -> dict[str, str]:
        """Return the service that assumes each role, from the template's resources."""
        found: dict[str, str] = {}
        for function in stack.of_type("AWS::Lambda::Function").values():
            found[function["Role"]] = "lambda"
        for machine in stack.of_type("AWS::StepFunctions::StateMachine").values():
            found[machine["RoleArn"]] = "states"
        for rule in stack.of_type("AWS::Events::Rule").values():
            found |= {t["RoleArn"]: "events" for t in rule["Targets"] if "RoleArn" in t}
        for schedule in stack.of_type("AWS::Scheduler::Schedule").values():
            found[schedule["Target"]["RoleArn"]] = "scheduler"
        return found

    def decide(self, stack: Stack, role: str, who: Principal, context: dict[str, str]) -> Decision:
        trust = stack.properties(role)["AssumeRolePolicyDocument"]
        return decide([trust], Request("sts:AssumeRole", stack.arn(role), who, context))

    def schedule_group(self, account: str, group: str = "aws-contact-sync-dev") -> dict[str, str]:
        source = f"arn:aws:scheduler:{REGION}:{account}:schedule-group/{group}"
        return {"aws:SourceAccount": account, "aws:SourceArn": source}

    def test_only_the_owners_service_can_assume_each_role(self, either: Stack) -> None:
        owners = self.owners(either)
        context = self.schedule_group(ACCOUNT)

        assert set(owners) == {either.arn(role) for role in either.of_type("AWS::IAM::Role")}
        for role in either.of_type("AWS::IAM::Role"):
            owner = Principal(service=f"{owners[either.arn(role)]}.amazonaws.com")
            assert Decision.ALLOW == self.decide(either, role, owner, context)
            insider = Principal(arn=f"arn:aws:iam::{ACCOUNT}:role/Insider")
            for other in {EVENTS, ALARMS, insider, *STRANGERS} - {owner}:
                assert Decision.NOTHING == self.decide(either, role, other, context)

    @pytest.mark.rule(13)
    def test_no_two_functions_share_a_role(self, stack: Stack) -> None:
        functions = stack.of_type("AWS::Lambda::Function").values()

        assert 5 == len(functions) == len({function["Role"] for function in functions})

    @pytest.mark.parametrize(("account", "group"), [(OTHER_ACCOUNT, None), (ACCOUNT, "another")])
    def test_no_other_schedule_can_assume_the_role(
        self, stack: Stack, account: str, group: str | None
    ) -> None:
        scheduler = Principal(service="scheduler.amazonaws.com")
        context = self.schedule_group(account, group or "aws-contact-sync-dev")

        assert Decision.NOTHING == self.decide(stack, "ScheduleRole", scheduler, context)


def test_no_policy_allows_another_principal(either: Stack) -> None:
    """Only this account, EventBridge and CloudWatch; the bucket's policy only denies."""
    kinds = ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy")
    policies = [one["PolicyDocument"] for kind in kinds for one in either.of_type(kind).values()]
    let_in = {
        who
        for policy in (either.properties("Key")["KeyPolicy"], *policies)
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for who in statement["Principal"].values()
    }

    assert {f"arn:aws:iam::{ACCOUNT}:root", EVENTS.service, ALARMS.service} == let_in

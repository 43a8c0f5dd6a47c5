"""The one key and the resource policies let in whom they must, and nobody without TLS."""

from typing import Any

from template.stack import ACCOUNT, Stack

USE_KEY = ["kms:Decrypt", "kms:GenerateDataKey*"]
FROM_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def by_principal(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a policy's statements by whom they are about."""
    statements = {}
    for statement in document["Statement"]:
        principal = statement["Principal"]
        name = principal if isinstance(principal, str) else next(iter(principal.values()))
        assert name not in statements
        statements[name] = statement
    return statements


class TestKey:
    def test_policy(self, stack: Stack) -> None:
        """Alarms of this account and, as it supports no condition, EventBridge use the key."""
        statements = by_principal(stack.properties("Key")["KeyPolicy"])
        events = statements["events.amazonaws.com"]
        alarms = statements["cloudwatch.amazonaws.com"]

        assert {
            f"arn:aws:iam::{ACCOUNT}:root",
            "events.amazonaws.com",
            "cloudwatch.amazonaws.com",
        } == set(statements)
        assert (USE_KEY, None) == (events["Action"], events.get("Condition"))
        assert (USE_KEY, FROM_THIS_ACCOUNT) == (alarms["Action"], alarms["Condition"])

    def test_encrypts_everything_that_is_kept(self, stack: Stack) -> None:
        """Tables, bucket, topic, queue and digest key are under the one key."""
        key = stack.arn("Key")
        tables = stack.of_type("AWS::DynamoDB::Table").values()
        [encryption] = stack.properties("RunsBucket")["BucketEncryption"][
            "ServerSideEncryptionConfiguration"
        ]

        assert [key, key] == [table["SSESpecification"]["KMSMasterKeyId"] for table in tables]
        assert {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} == (
            encryption["ServerSideEncryptionByDefault"]
        )
        assert key == stack.properties("NotificationTopic")["KmsMasterKeyId"]
        assert key == stack.properties("DeadLetterQueue")["KmsMasterKeyId"]
        assert key == stack.properties("DigestKey")["KmsKeyId"]
        assert 1 == len(stack.of_type("AWS::KMS::Key"))

    def test_outlasts_the_backups_of_production(self, expanded: dict[str, Any]) -> None:
        """Where there are backups, a key deleted by mistake can be kept as long as AWS allows."""
        windows = {
            each: Stack(expanded, each).properties("Key")["PendingWindowInDays"]
            for each in ("dev", "staging", "prod")
        }

        assert {"dev": 7, "staging": 7, "prod": 30} == windows


class TestTopic:
    def test_policy(self, stack: Stack) -> None:
        """EventBridge without conditions and alarms of this account publish, over TLS."""
        policy = stack.properties("NotificationTopicPolicy")
        statements = by_principal(policy["PolicyDocument"])

        assert [stack.arn("NotificationTopic")] == policy["Topics"]
        assert {
            "events.amazonaws.com": ("Allow", None),
            "cloudwatch.amazonaws.com": ("Allow", FROM_THIS_ACCOUNT),
            "*": ("Deny", WITHOUT_TLS),
        } == {who: (each["Effect"], each.get("Condition")) for who, each in statements.items()}
        assert {("sns:Publish", stack.arn("NotificationTopic"))} == {
            (each["Action"], each["Resource"]) for each in statements.values()
        }


class TestQueue:
    def test_policy(self, stack: Stack) -> None:
        """Every rule that uses the queue may send, no other rule, over TLS."""
        statements = by_principal(stack.properties("DeadLetterQueuePolicy")["PolicyDocument"])
        queue = {"Arn": stack.arn("DeadLetterQueue")}
        rules = [
            stack.arn(rule)
            for rule, properties in stack.of_type("AWS::Events::Rule").items()
            if queue in [target["DeadLetterConfig"] for target in properties["Targets"]]
        ]
        allow = statements["events.amazonaws.com"]
        deny = statements["*"]

        assert {"events.amazonaws.com", "*"} == set(statements)
        assert ("Allow", "sqs:SendMessage") == (allow["Effect"], allow["Action"])
        assert {"ArnEquals": {"aws:SourceArn": rules}} == allow["Condition"]
        assert ("Deny", WITHOUT_TLS) == (deny["Effect"], deny["Condition"])
        assert {stack.arn("DeadLetterQueue")} == {each["Resource"] for each in statements.values()}


class TestBucket:
    def test_policy(self, stack: Stack) -> None:
        """The bucket is denied without TLS and says nothing else."""
        bucket = stack.arn("RunsBucket")
        [statement] = stack.properties("RunsBucketPolicy")["PolicyDocument"]["Statement"]

        assert ("Deny", "*", "s3:*", WITHOUT_TLS) == (
            statement["Effect"],
            statement["Principal"],
            statement["Action"],
            statement["Condition"],
        )
        assert [bucket, f"{bucket}/*"] == statement["Resource"]

    def test_blocks_public_access(self, stack: Stack) -> None:
        """Nothing can make the bucket public."""
        block = stack.properties("RunsBucket")["PublicAccessBlockConfiguration"]

        assert {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        } == block

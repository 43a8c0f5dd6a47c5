"""The one key and the resource policies let in whom they must, and nobody without TLS."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from support.stack import ACCOUNT, REGION, Stack

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


class TestTrail:
    """The stack's own trail, where it has one: CloudTrail may write, and nobody for another."""

    ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/aws-contact-sync-dev-trail"

    @pytest.fixture(name="trailed")
    def _trailed(self, expanded: dict[str, Any]) -> Stack:
        return Stack(expanded, CreateTrail="true")

    def test_only_where_asked_for(self, stack: Stack, trailed: Stack) -> None:
        """Without it there is neither trail nor bucket, and the key knows nothing of it."""
        assert {} == stack.of_type("AWS::CloudTrail::Trail")
        assert ["RunsBucket"] == list(stack.of_type("AWS::S3::Bucket"))
        assert ["RunsBucketPolicy"] == list(stack.of_type("AWS::S3::BucketPolicy"))
        assert "cloudtrail" not in str(stack.properties("Key"))
        assert {"Trail"} == trailed.of_type("AWS::CloudTrail::Trail").keys()

    def test_logs_management_events_of_all_regions(self, trailed: Stack) -> None:
        """It is on, logs global services too, can be validated, and is encrypted."""
        trail = trailed.properties("Trail")

        assert {
            "TrailName": "aws-contact-sync-dev-trail",
            "IsLogging": True,
            "IsMultiRegionTrail": True,
            "IncludeGlobalServiceEvents": True,
            "EnableLogFileValidation": True,
            "S3BucketName": "aws-contact-sync-dev-trailbucket",
            "KMSKeyId": trailed.arn("Key"),
        } == trail
        assert "TrailBucketPolicy" == trailed.template["Resources"]["Trail"]["DependsOn"]

    def test_bucket(self, trailed: Stack) -> None:
        """It is encrypted, closed to the public, forgets like the logs, and blocks no new one."""
        bucket = trailed.properties("TrailBucket")
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        [rule] = bucket["LifecycleConfiguration"]["Rules"]

        assert trailed.arn("Key") == (encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
        assert ("Enabled", 7) == (rule["Status"], rule["ExpirationInDays"])
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert "BucketName" not in bucket

    def test_bucket_policy(self, trailed: Stack) -> None:
        """This trail may look and write; the only denial is for want of TLS."""
        policy = trailed.properties("TrailBucketPolicy")["PolicyDocument"]
        check, write, deny = policy["Statement"]
        ours = {"aws:SourceArn": self.ARN}
        owned = {"s3:x-amz-acl": "bucket-owner-full-control"}

        assert [{"Service": "cloudtrail.amazonaws.com"}] * 2 == [
            each["Principal"] for each in (check, write)
        ]
        assert ("s3:GetBucketAcl", {"StringEquals": ours}) == (check["Action"], check["Condition"])
        assert ("s3:PutObject", {"StringEquals": ours | owned}) == (
            write["Action"],
            write["Condition"],
        )
        assert write["Resource"].endswith(f"/AWSLogs/{ACCOUNT}/*")
        assert ("Deny", "*", WITHOUT_TLS) == (
            deny["Effect"],
            deny["Principal"],
            deny["Condition"],
        )

    def test_key(self, trailed: Stack) -> None:
        """This trail, and no other, encrypts with the key."""
        use = by_principal(trailed.properties("Key")["KeyPolicy"])["cloudtrail.amazonaws.com"]

        assert ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"] == use["Action"]
        assert {"StringEquals": {"aws:SourceArn": self.ARN}} == use["Condition"]


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
        """Every rule that uses the queue may send, no other stack's rule, over TLS."""
        statements = by_principal(stack.properties("DeadLetterQueuePolicy")["PolicyDocument"])
        queue = {"Arn": stack.arn("DeadLetterQueue")}
        rules = [
            stack.arn(rule)
            for rule, properties in stack.of_type("AWS::Events::Rule").items()
            if queue in [target["DeadLetterConfig"] for target in properties["Targets"]]
        ]
        allow = statements["events.amazonaws.com"]
        deny = statements["*"]
        of_stack = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/aws-contact-sync-dev-*"

        assert {"events.amazonaws.com", "*"} == set(statements)
        assert ("Allow", "sqs:SendMessage") == (allow["Effect"], allow["Action"])
        assert {"ArnLike": {"aws:SourceArn": of_stack}} == allow["Condition"]
        assert 11 == len([rule for rule in rules if fnmatchcase(rule, of_stack)]) == len(rules)
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

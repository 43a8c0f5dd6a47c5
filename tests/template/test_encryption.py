"""Everything stored is encrypted with the stack's key, including its own trail."""

from typing import Any

import pytest
from support.stack import Stack


class TestKey:
    @pytest.mark.rule(14)
    def test_encrypts_everything_that_is_stored(self, stack: Stack) -> None:
        """Tables, bucket, topic, queue and digest key use the same key."""
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


class TestTrail:
    """The stack's own trail, if it has one."""

    @pytest.fixture(name="trailed")
    def _trailed(self, expanded: dict[str, Any]) -> Stack:
        return Stack(expanded, CreateTrail="true")

    def test_only_if_requested(self, stack: Stack, trailed: Stack) -> None:
        """By default, there is neither trail nor bucket, nor are they in the key's policy."""
        assert {} == stack.of_type("AWS::CloudTrail::Trail")
        assert ["RunsBucket"] == list(stack.of_type("AWS::S3::Bucket"))
        assert ["RunsBucketPolicy"] == list(stack.of_type("AWS::S3::BucketPolicy"))
        assert "cloudtrail" not in str(stack.properties("Key"))
        assert {"Trail"} == trailed.of_type("AWS::CloudTrail::Trail").keys()

    def test_logs_management_events_of_all_regions(self, trailed: Stack) -> None:
        """It is enabled, includes global services and validation of files, and is encrypted."""
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
        """It is encrypted and private, expires objects like the logs, and has no fixed name."""
        bucket = trailed.properties("TrailBucket")
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        [rule] = bucket["LifecycleConfiguration"]["Rules"]

        assert trailed.arn("Key") == (encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
        assert ("Enabled", 7) == (rule["Status"], rule["ExpirationInDays"])
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert "BucketName" not in bucket

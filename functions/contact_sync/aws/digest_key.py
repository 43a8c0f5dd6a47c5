"""Secrets Manager: the key of the digests, so that nobody can guess a phone number from one."""

from typing import TYPE_CHECKING

from contact_sync.aws.clients import named_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def load_digest_key(client: "SecretsManagerClient", secret_arn: str) -> bytes:
    """Read the key that CloudFormation generated."""
    with named_errors("read the digest key"):
        answer = client.get_secret_value(SecretId=secret_arn)
    return answer["SecretString"].encode()

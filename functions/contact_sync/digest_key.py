"""Secrets Manager: the key of the digests, so that a phone number cannot be guessed back."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from contact_sync.aws import named_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True)
class DigestKey:
    """The key, and an id that tells whether older digests were made with it."""

    value: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Return a short hash of the key, which is random and long enough not to be guessed."""
        return sha256(b"digest key" + self.value).hexdigest()[:16]


def load_digest_key(client: "SecretsManagerClient", secret_arn: str) -> DigestKey:
    """Read the key that CloudFormation generated."""
    with named_errors("read the digest key"):
        answer = client.get_secret_value(SecretId=secret_arn)
    return DigestKey(answer["SecretString"].encode())

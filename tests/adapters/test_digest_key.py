"""The digest key is read from its secret."""

from collections.abc import Iterator
from typing import Any

import pytest
from contact_sync.aws.digest_key import load_digest_key
from contact_sync.errors import ApiRefusedError
from moto import mock_aws
from support.moto_stack import SECRET, create_secret


@pytest.fixture
def secrets() -> Iterator[Any]:
    with mock_aws():
        yield create_secret("the key itself")


def test_the_key_is_read_from_its_secret(secrets: Any) -> None:
    assert b"the key itself" == load_digest_key(secrets, SECRET)


def test_a_missing_secret_is_an_error(secrets: Any) -> None:
    with pytest.raises(ApiRefusedError, match="read the digest key"):
        load_digest_key(secrets, "nowhere")

"""The digest key never prints, and its id tells keys apart."""

from typing import Any

import pytest
from contact_sync.digest_key import DigestKey, load_digest_key
from contact_sync.errors import ApiRefusedError
from moto_stack import SECRET, create_secret


@pytest.fixture
def secrets(aws: None) -> Any:  # noqa: ARG001
    return create_secret("the key itself")


def test_the_key_is_read_from_its_secret(secrets: Any) -> None:
    assert DigestKey(b"the key itself") == load_digest_key(secrets, SECRET)


def test_a_secret_that_is_not_there_is_an_error(secrets: Any) -> None:
    with pytest.raises(ApiRefusedError, match="read the digest key"):
        load_digest_key(secrets, "nowhere")


def test_keys_have_ids_of_their_own() -> None:
    assert DigestKey(b"one").id == DigestKey(b"one").id
    assert DigestKey(b"one").id != DigestKey(b"other").id
    assert 16 == len(DigestKey(b"one").id)


def test_a_key_never_prints() -> None:
    assert "the key itself" not in repr(DigestKey(b"the key itself"))

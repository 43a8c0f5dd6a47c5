"""The fixtures of tests/scripts serve here as well, with a stand-in of this folder's own."""

from scripts.conftest import _cli, _fake_aws, _loopback, _machine, _warm

__all__ = ["_cli", "_fake_aws", "_loopback", "_machine", "_warm"]

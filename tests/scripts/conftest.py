from support.cli_fixtures import _cli, _fake_aws, _loopback, _machine, _warm

__all__ = ["_cli", "_fake_aws", "_loopback", "_machine", "_warm"]

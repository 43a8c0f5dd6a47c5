"""The local stand-in for AWS: MiniStack with our hooks, and a strict organization server."""

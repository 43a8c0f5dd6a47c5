"""MiniStack with hooks that make it behave as AWS does where it does not by itself."""

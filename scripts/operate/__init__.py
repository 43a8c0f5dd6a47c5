"""The operating commands: `python -m operate COMMAND`, started by scripts/<command>.sh."""

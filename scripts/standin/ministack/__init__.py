"""MiniStack with the hooks that make it as strict as AWS where this system depends on it."""

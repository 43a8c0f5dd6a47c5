"""MiniStack with hooks for what AWS does differently."""

"""What can go wrong with the stand-in."""


class StandinError(Exception):
    """The stand-in did not start, a stack did not deploy, or an answer did not come in time."""

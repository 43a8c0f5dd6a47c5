"""Errors of the stand-in."""


class StandinError(Exception):
    """The stand-in did not start, a stack did not deploy, or a response timed out."""

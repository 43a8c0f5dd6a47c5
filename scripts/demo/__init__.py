"""Demonstrates a run of the contact sync on this machine."""

"""Measures runs of the contact sync against the quotas of the Account API."""

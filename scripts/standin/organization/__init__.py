"""Strict stand-in for AWS Organizations and Account Management, over HTTP on loopback."""

from standin.organization.client import OrganizationClient
from standin.organization.server import OrganizationServer
from standin.organization.worlds import contact_values, drifted_world

__all__ = ["OrganizationClient", "OrganizationServer", "contact_values", "drifted_world"]

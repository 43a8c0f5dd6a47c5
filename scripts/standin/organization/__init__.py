"""Strict stand-in for AWS Organizations and Account Management, over HTTP on loopback."""

from standin.organization.client import OrganizationClient
from standin.organization.server import OrganizationServer
from standin.organization.worlds import drifted_world

__all__ = ["OrganizationClient", "OrganizationServer", "drifted_world"]

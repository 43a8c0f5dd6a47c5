"""Policies that an organization can impose on deployments into its accounts."""

from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import _stacks, provisioners

from standin.ministack.executions import Json
from standin.ministack.registry import hook

DEMANDED = ":policy/demanded-boundary"


@hook
def demands() -> None:
    """Refuse roles without the boundary and roles of untagged stacks, as policies can.

    Takes effect once a policy named `demanded-boundary` exists.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create = handlers["create"]

    def create_as_demanded(logical_id: str, properties: Json, stack: str, *more: Any) -> Any:
        boundary = next((arn for arn in iam._policies if str(arn).endswith(DEMANDED)), None)
        if boundary and properties.get("PermissionsBoundary") != boundary:
            raise ValueError("AccessDenied: a role needs the organization's boundary")
        if boundary and not _stacks[stack].get("Tags"):
            raise ValueError("AccessDenied: a role needs tags")
        return create(logical_id, properties, stack, *more)

    handlers["create"] = create_as_demanded

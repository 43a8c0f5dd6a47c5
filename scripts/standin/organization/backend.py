"""Processes each call, from its arrival to its response."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from standin.organization.account_api import AccountApi
from standin.organization.calls import CallLog
from standin.organization.errors import (
    ApiError,
    DroppedConnectionError,
    InactiveAccountError,
    WorldError,
)
from standin.organization.faults import Faults
from standin.organization.model import ALTERNATE_TYPES, World
from standin.organization.organizations_api import OrganizationsApi
from standin.organization.quotas import Clock, Quotas
from standin.organization.state import Organization

Params = Mapping[str, Any]
Api = AccountApi | OrganizationsApi
Target = tuple[str | None, str | None]


@dataclass(frozen=True)
class _Scene:
    """One world, from its reset to the next; a call belongs to the scene in which it began."""

    organization: Organization
    quotas: Quotas
    latency: Mapping[str, float]
    calls: CallLog = field(default_factory=CallLog)
    faults: Faults = field(default_factory=Faults)


class Backend:
    """Both APIs over one organization.

    Each call waits for its latency, takes a token of its operation's quota, meets a planned fault,
    and only then is processed: a throttled call uses up no fault.
    `speed` multiplies the quotas' rates and divides latency and read delay.
    """

    def __init__(
        self,
        world: World,
        speed: float = 1.0,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self.account_api = AccountApi()
        self.organizations_api = OrganizationsApi()
        self.reset(world)

    def reset(self, world: World) -> None:
        """Start over with a new world, full quotas, no faults and an empty log.

        A call in progress ends in the world in which it began, and does not affect the new one.
        """
        self._scene = _Scene(
            Organization(world, self._speed, self._clock),
            Quotas(world.quotas, self._speed, self._clock),
            world.latency,
        )

    @property
    def organization(self) -> Organization:
        """The organization of the latest world."""
        return self._scene.organization

    @property
    def calls(self) -> CallLog:
        """The calls that began in the latest world."""
        return self._scene.calls

    @property
    def faults(self) -> Faults:
        """The faults planned for the latest world."""
        return self._scene.faults

    def add_fault(self, document: Mapping[str, Any]) -> None:
        """Plan a fault with an error that the operation can return. Raises WorldError."""
        operation, error = document.get("operation"), document.get("error")
        possible = operation == "*" or self._has_error(str(operation), str(error))
        if error not in ("drop_connection", "slow") and not possible:
            raise WorldError(f"{operation} has no error {error!r}")
        self.faults.add(document)

    def call(self, api: Api, operation: str, params: Params) -> dict[str, Any] | None:
        """Answer one call and log it. Raises ApiError and DroppedConnectionError."""
        scene = self._scene
        target = self._target(scene.organization, api, operation, params)
        outcome = "InternalFailure"
        try:
            self._admit(scene, operation, target)
            answer = api.handle(scene.organization, operation, params)
        except InactiveAccountError as error:
            scene.calls.record_inactive_write(error.account_id)
            outcome = error.code
            raise
        except (ApiError, DroppedConnectionError) as error:
            outcome = error.code
            raise
        else:
            outcome = "ok"
            return answer
        finally:
            scene.calls.record(operation, *target, outcome)

    def _admit(self, scene: _Scene, operation: str, target: Target) -> None:
        latency = scene.latency.get(operation, scene.latency.get("default", 0.0))
        self._pause(latency / self._speed)
        if not scene.quotas.allow(operation):
            raise ApiError("TooManyRequestsException", "Rate exceeded.")
        fault = scene.faults.take(operation, *target)
        if fault is not None:
            self._pause(fault.delay)
            fault.raise_error()

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)

    def _has_error(self, operation: str, error: str) -> bool:
        for api in (self.account_api, self.organizations_api):
            if operation in api.operations:
                return api.rules.has_error(operation, error)
        raise WorldError(f"no operation {operation!r}")

    def _target(
        self, organization: Organization, api: Api, operation: str, params: Params
    ) -> Target:
        """Return a call's account and contact type, None if malformed: the log keeps no input."""
        account_id = params.get("AccountId")
        if not (isinstance(account_id, str) and re.fullmatch(r"\d{12}", account_id, re.ASCII)):
            account_id = None
        if api is self.organizations_api:
            return account_id, None
        if params.get("AccountId") is None:
            account_id = organization.world.management_account_id
        if operation.endswith("ContactInformation"):
            return account_id, "PRIMARY"
        contact_type = params.get("AlternateContactType")
        return account_id, contact_type if contact_type in ALTERNATE_TYPES else None

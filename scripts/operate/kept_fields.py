"""The fields of the primary contact that each account keeps: asked for on the first deployment."""

from argparse import ArgumentTypeError

from operate.console import OperateError, ask, warn
from operate.deploy_options import kept_field
from operate.deployment import Deployment
from operate.options import check_all

# A change of the number ends its verification, and may send an SMS.
PROPOSED = "PhoneNumber"
NONE = "none"


def choose_kept(deployment: Deployment) -> list[str]:
    """Return the fields for the configuration that is about to be written, none if there is one."""
    if deployment.configuration or "primary" not in deployment.contact_types:
        return []
    options = deployment.options
    fields = options.primary_keeps
    if not fields and not options.plan and not options.yes:
        fields = _asked()
    if not fields:
        warn(
            "accounts keep no field of their primary contact. --primary-keeps PhoneNumber keeps "
            "their phone numbers: each change of one ends its verification, and may send an SMS"
        )
    return [one for one in fields if one != NONE]


def _asked() -> list[str]:
    answer = ask("Which fields of its primary contact does each account keep, or none?", PROPOSED)
    try:
        return check_all(kept_field)(answer) if answer else []
    except ArgumentTypeError as error:
        raise OperateError(f"{error}; nothing was changed") from None

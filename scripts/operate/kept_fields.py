"""The first deployment asks which fields of its primary contact each account keeps."""

from argparse import ArgumentTypeError

from operate.console import OperateError, ask, warn
from operate.deploy_options import kept_field
from operate.deployment import Deployment
from operate.options import check_all

# A changed number loses its verification, and may cause a text message.
PROPOSED = "PhoneNumber"
NONE = "none"


def choose_kept(deployment: Deployment) -> list[str]:
    """Return the fields for the default configuration, none if a configuration is stored."""
    if deployment.configuration or "primary" not in deployment.contact_types:
        return []
    options = deployment.options
    fields = options.primary_keeps
    if not fields and not options.plan and not options.yes:
        fields = _asked()
    if not fields:
        warn(
            "accounts keep no field of their primary contact. To keep phone numbers, add "
            "--primary-keeps PhoneNumber: a changed number loses its verification, and may cause a "
            "text message"
        )
    return [one for one in fields if one != NONE]


def _asked() -> list[str]:
    answer = ask("Which fields of its primary contact should each account keep, or none?", PROPOSED)
    try:
        return check_all(kept_field)(answer) if answer else []
    except ArgumentTypeError as error:
        raise OperateError(f"{error}; nothing was changed") from None

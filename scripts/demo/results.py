"""Shows an execution's results: an account before and after, messages, the end, next steps."""

from collections.abc import Mapping

from standin.organization.model import CONTACT_TYPES
from standin.standin import Execution, Stack

from demo.view import heading, say, table

Contacts = Mapping[str, Mapping[str, str]]

NEXT = """\
# A contact of the management account changes
bash scripts/demo.sh --event tests/events/put-alternate-contact.json
# Who would change? Nothing is written
bash scripts/demo.sh --input '{"dry_run": true}'
# The API throttles and refuses, and a function dies
bash scripts/demo.sh --faults
# The stand-in stays, for every operating command
bash scripts/demo.sh --keep"""


def show_account(account_id: str, before: Contacts, after: Contacts) -> None:
    """Show the contacts of an account before and after the run."""
    heading(f"Account {account_id}")
    rows = [(name.lower(), _who(before, name), _who(after, name)) for name in CONTACT_TYPES]
    table(["", "before", "after"], rows)


def show_messages(stack: Stack, execution: Execution) -> None:
    """Show the messages that subscribers received about the execution."""
    heading("Message to the topic's subscribers")
    messages = [
        message
        for message in stack.messages()
        if message.attributes.get("sync_id") == execution.name
    ]
    for message in messages:
        say(f"Subject: {message.subject}")
        say("")
        say(message.body.rstrip())
    if not messages:
        say("none")


def show_end(execution: Execution, speed: float) -> None:
    """Show how the execution ended; its duration is in the message."""
    heading(f"Execution {execution.status()}")
    if speed != 1:
        say(f"It ran at {pace(speed)}; the time that its message expects is at AWS's own.")


def show_next() -> None:
    """Show what to try next."""
    heading("Try next")
    say(NEXT)


def pace(speed: float) -> str:
    """Return the speed in words."""
    return "AWS's own speed" if speed == 1 else f"{speed:g} times AWS's speed"


def _who(contacts: Contacts, contact_type: str) -> str:
    contact = contacts.get(contact_type, {})
    return contact.get("FullName") or contact.get("Name") or "none"

"""What deploy.sh cannot say in bash: a contact's faults, and an item as DynamoDB writes it.

Usage: deployment.py faults TYPE <CONTACT, or: deployment.py item [TYPE...] <CONFIGURATION
Needs `functions` on the module path; prints no contact value.
"""

import json
import sys
from typing import Any

from contact_sync.contacts import Contact, ContactType


def main(command: str, *types: str) -> None:
    """Read JSON from standard input, and print what the command tells of it."""
    text = sys.stdin.read()
    if command == "item":
        item = json.loads(text)
        if types:
            item["contact_types"] = list(types)
        print(json.dumps({name: typed(value) for name, value in item.items()}))
    elif text.strip():
        # Without text the AWS CLI failed, and says so itself.
        contact = Contact.from_api(ContactType(types[0]), json.loads(text))
        print("\n".join(contact.faults()))


def typed(value: Any) -> dict[str, Any]:
    """Return a JSON value as DynamoDB's API spells it."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": str(value)}
        case list():
            return {"L": [typed(element) for element in value]}
        case dict():
            return {"M": {name: typed(element) for name, element in value.items()}}
    raise TypeError(f"no configuration has a {type(value).__name__}")


if __name__ == "__main__":
    main(*sys.argv[1:])

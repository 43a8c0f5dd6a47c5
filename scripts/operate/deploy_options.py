"""The options of scripts/deploy.sh."""

from collections.abc import Callable
from typing import Any

from contact_sync.contacts import PRIMARY_RULES

from operate.options import (
    Parser,
    account_id,
    contact_type,
    matching,
    one_of,
    region,
    text,
)
from operate.parameters import assignment

EPILOG = """\
Repeat the command to update: options that you omit keep their values. The command checks
everything before the first change, and shows the changes before it asks. It prints the dashboard's
URL to stdout, with --plan the changes, and with --json both and the release.

exit codes:
  0  deployed, or already up to date; --plan: there are no changes
  1  not deployed
  2  wrong options
  3  --plan: there are changes

examples:
  scripts/deploy.sh --environment prod --account-id 123456789012 \\
    --notification-email admin@example.com --region us-east-1
  scripts/deploy.sh --environment prod --account-id 123456789012 --plan --json
  scripts/deploy.sh --environment prod --account-id 123456789012 --paused --tags team=security
  scripts/deploy.sh --environment prod --account-id 123456789012 --resume
  scripts/deploy.sh --environment prod --account-id 123456789012 --restore backup
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("deploy", "Deploy one environment, or update it.", EPILOG)
    made.yes()
    made.json()
    meaning = "the organization's management account; your credentials must be of this account"
    made.value("--account-id", account_id, "ID", meaning, required=True)
    made.flag("--plan", meaning="only show the changes")
    made.value("--notification-email", email, "ADDRESS", "address to notify")
    meaning = 'when full runs start, in UTC: "rate(1 day)", "cron(0 3 * * ? *)" or off'
    made.value("--schedule", schedule, "WHEN", meaning)
    meaning = "for the default configuration (default: all); no effect if one is already stored"
    made.values("--contact-types", contact_type, "T", meaning)
    meaning = "for it, fields of the primary contact that accounts keep: PhoneNumber ...; or none"
    made.values("--primary-keeps", kept_field, "FIELD", meaning)
    made.value("--log-level", level, "LEVEL", "DEBUG, INFO, WARNING or ERROR")
    made.values("--tags", tag, "KEY=VALUE", "tags to add to the stack and its resources")
    meaning = "any other parameter of template.yaml, such as QuotaShare=0.5; repeatable"
    made.value("--parameter", assignment, "NAME=VALUE", meaning, action="append", default=[])
    _add_triggers(made)
    _add_surroundings(made)
    made.flag("--repair", meaning="also revert changes made outside CloudFormation")
    made.flag("--now", meaning="do not wait until a run ends")
    return made


def _add_triggers(made: Parser) -> None:
    add: Any = made.add_mutually_exclusive_group().add_argument
    to: Any = {"dest": "triggers", "action": "store_const"}
    add("--paused", const="DISABLED", help="rules and schedule start nothing", **to)
    add("--resume", const="ENABLED", help="rules and schedule start runs again", **to)
    meaning = "deploy paused, with the parameters, tags and configuration of a backup"
    add("--restore", type=text, metavar="DIR", help=meaning)


def _add_surroundings(made: Parser) -> None:
    meaning = "never create a trail, also later; without one, only the schedule finds changes"
    made.flag("--no-trail", meaning=meaning)
    meaning = "Control Tower's home region, if it is not the stack's; or none"
    made.value("--control-tower-region", tower_region, "R", meaning)
    meaning = "enable trusted access for Account Management if it is not enabled"
    made.flag("--enable-trusted-access", meaning=meaning)
    meaning = "permissions boundary of every role of the stack; or none"
    made.value("--permissions-boundary", policy, "ARN", meaning)
    made.value("--role-arn", role, "ARN", "role that CloudFormation deploys with")
    made.value("--s3-bucket", text, "B", "bucket for code and releases (default: SAM's bucket)")
    made.flag("--use-container", meaning="build in a container; needs Docker or Finch")


kept_field = one_of("field of the primary contact", [*PRIMARY_RULES, "none"])
email = matching("e-mail address", r"[^@\s]+@[^@\s]+\.[^@\s]+", "one such as admin@example.com")
level = one_of("level", ("DEBUG", "INFO", "WARNING", "ERROR"))
tag = matching("tag", r"[^=]{1,128}=.{0,256}", "KEY=VALUE")
role = matching("role", r"arn:[\w-]+:iam::[0-9]{12}:role/.+", "the ARN of a role")


def or_none(word: str, check: Callable[[str], str]) -> Callable[[str], str]:
    """Return a check that converts this word to an empty value."""
    return lambda given: "" if given == word else check(given)


tower_region = or_none("none", region)
schedule = or_none(
    "off", matching("schedule", r"rate\(.+\)|cron\(.+\)", "rate(...), cron(...) or off")
)
policy = or_none(
    "none",
    matching(
        "policy", r"arn:[\w-]+:iam::([0-9]{12}|aws):policy/.+", "the ARN of a policy, or none"
    ),
)

"""The options of scripts/deploy.sh."""

from operate.options import (
    Parser,
    account_id,
    add_list,
    add_where,
    add_yes,
    contact_type,
    matching,
    one_of,
    region,
    text,
)
from operate.parameters import assignment

EPILOG = """\
Repeat the command to update: an option that is left out keeps what the stack has. Every check is
made before the first change, and the changes are shown before anything is asked. The dashboard's
address goes to stdout, with --plan the changes.

exit codes:
  0  deployed, or already up to date; with --plan: nothing would change
  1  not deployed
  2  wrong options
  3  --plan: there are changes

examples:
  scripts/deploy.sh --environment prod --account-id 123456789012 \\
    --notification-email admin@example.com --region us-east-1
  scripts/deploy.sh --environment prod --account-id 123456789012 --plan
  scripts/deploy.sh --environment prod --account-id 123456789012 --paused --tags team=security
  scripts/deploy.sh --environment prod --account-id 123456789012 --resume
  scripts/deploy.sh --environment prod --account-id 123456789012 --restore backup
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser("deploy", "Deploy one environment, or update it.", EPILOG)
    add_where(made)
    add_yes(made)
    add = made.add_argument
    add(
        "--account-id",
        required=True,
        type=account_id,
        metavar="ID",
        help="the organization's management account, which must be the one signed in to",
    )
    add("--plan", action="store_true", help="only show what would change")
    add("--notification-email", type=email, metavar="ADDRESS", help="who is notified")
    add(
        "--schedule",
        type=schedule,
        metavar="WHEN",
        help='when every account is compared, in UTC: "rate(1 day)", "cron(0 3 * * ? *)" or off',
    )
    add_list(
        made,
        "--contact-types",
        contact_type,
        metavar="T",
        help="of the default configuration (all four); no effect once there is one",
    )
    add("--log-level", type=level, metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR")
    add_list(
        made,
        "--tags",
        tag,
        metavar="KEY=VALUE",
        help="of the stack and what it has, added to its own",
    )
    add(
        "--parameter",
        action="append",
        default=[],
        type=assignment,
        metavar="NAME=VALUE",
        help="any other parameter of template.yaml, such as QuotaShare=0.5; repeatable",
    )
    _add_triggers(made)
    _add_surroundings(made)
    add("--repair", action="store_true", help="also undo what was changed past CloudFormation")
    add("--now", action="store_true", help="do not wait for the end of a run")
    return made


def _add_triggers(made: Parser) -> None:
    triggers = made.add_mutually_exclusive_group()
    for name, value, meaning in (
        ("--paused", "DISABLED", "rules and schedule start nothing; runs only by hand"),
        ("--resume", "ENABLED", "rules and schedule start runs again"),
    ):
        triggers.add_argument(
            name, dest="triggers", action="store_const", const=value, help=meaning
        )
    triggers.add_argument(
        "--restore",
        type=text,
        metavar="DIR",
        help="deploy paused, with a backup's parameters, tags and configuration",
    )


def _add_surroundings(made: Parser) -> None:
    add = made.add_argument
    add(
        "--no-trail",
        action="store_true",
        help="never make a trail: without another, only the schedule finds changes; remembered",
    )
    add(
        "--control-tower-region",
        type=tower_region,
        metavar="R",
        help="Control Tower's home region, if it is not the stack's; or none",
    )
    add(
        "--enable-trusted-access",
        action="store_true",
        help="let the organization trust account management, where it does not yet",
    )
    add(
        "--permissions-boundary",
        type=policy,
        metavar="ARN",
        help="policy that bounds every role of the stack; or none",
    )
    add("--role-arn", type=role, metavar="ARN", help="role that CloudFormation deploys with")
    add("--s3-bucket", type=text, metavar="B", help="for code and releases, instead of SAM's own")
    add("--use-container", action="store_true", help="build in a container, without that Python")


email = matching("e-mail address", r"[^@\s]+@[^@\s]+\.[^@\s]+", "one such as admin@example.com")
level = one_of("level", ("DEBUG", "INFO", "WARNING", "ERROR"))
tag = matching("tag", r"[^=]{1,128}=[^=]{0,256}", "KEY=VALUE")
role = matching("role", r"arn:[\w-]+:iam::[0-9]{12}:role/.+", "the ARN of a role")


def schedule(given: str) -> str:
    """Check a schedule; off is none."""
    expected = "rate(...), cron(...) or off"
    checked = matching("schedule", r"off|rate\(.+\)|cron\(.+\)", expected)(given)
    return "" if checked == "off" else checked


def tower_region(given: str) -> str:
    """Check a region; none is none."""
    return "" if given == "none" else region(given)


def policy(given: str) -> str:
    """Check a policy's ARN; none is none."""
    pattern = r"none|arn:[\w-]+:iam::([0-9]{12}|aws):policy/.+"
    checked = matching("policy", pattern, "the ARN of a policy, or none")(given)
    return "" if checked == "none" else checked

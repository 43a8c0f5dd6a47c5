"""Compliance checks: which accounts pass, and the evidence. Without evidence: unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from operate.report.runs import moment
from operate.report.state import FAILING, AccountState, ContactState, State


class Result(StrEnum):
    """The result of one check for one account."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True)
class Check:
    """A check of a standard; `contact` is the type that it checks, `passes` what a pass means."""

    id: str
    standard: str
    title: str
    contact: str
    passes: str
    url: str


SECURITY_HUB = "https://docs.aws.amazon.com/securityhub/latest/userguide"
CHECKS = (
    Check(
        "Account.1",
        "AWS Security Hub CSPM",
        "Security contact information should be provided for an AWS account",
        "security",
        "The account has a security contact, and it equals the expected one.",
        f"{SECURITY_HUB}/account-controls.html#account-1",
    ),
    Check(
        "1.2",
        "CIS AWS Foundations Benchmark v5.0.0",
        "Ensure security contact information is registered",
        "security",
        "The account has a security contact, and it equals the expected one.",
        f"{SECURITY_HUB}/cis-aws-foundations-benchmark.html",
    ),
    Check(
        "1.1",
        "CIS AWS Foundations Benchmark v5.0.0",
        "Maintain current contact details",
        "primary",
        "The primary contact equals the expected one. The benchmark requires a person to confirm "
        "that this one is current.",
        "https://www.cisecurity.org/benchmark/amazon_web_services",
    ),
)


@dataclass(frozen=True)
class Verdict:
    """The result for one account, and the evidence."""

    account_id: str
    account_name: str
    result: Result
    evidence: str


@dataclass(frozen=True)
class Checked:
    """The results of one check for all accounts."""

    check: Check
    verdicts: tuple[Verdict, ...]

    def count(self, result: Result) -> int:
        """Return how many accounts have the result."""
        return sum(one.result == result for one in self.verdicts)

    def of(self, result: Result) -> list[Verdict]:
        """Return the accounts with the result."""
        return [one for one in self.verdicts if one.result == result]


def check_accounts(accounts: Sequence[AccountState]) -> list[Checked]:
    """Apply every check to every account."""
    return [Checked(check, tuple(_verdict(check, one) for one in accounts)) for check in CHECKS]


def _verdict(check: Check, account: AccountState) -> Verdict:
    result, evidence = judge(account.contact(check.contact))
    return Verdict(account.id, account.name, result, evidence)


def judge(contact: ContactState | None) -> tuple[Result, str]:
    """Return the result for a contact, and the evidence; a pass needs a contact equal and set."""
    if contact is None:
        return Result.UNKNOWN, "this contact type is not synchronized"
    by = f" by run {contact.attempted_by}" if contact.attempted_by else ""
    when = f"{moment(contact.attempted_at)}{by}"
    match contact.state, contact.is_set:
        case State.IN_SYNC, True:
            return Result.PASS, f"set and equal, compared {when}"
        case State.SOURCE, True:
            return Result.PASS, f"source: set when the newest run read it, {when}"
        case ((State.SOURCE | State.NOT_SET | State.PUT_BACK), False):
            return Result.FAIL, f"not set, read {when}"
    return Result.UNKNOWN, _doubt(contact, when)


def _doubt(contact: ContactState, when: str) -> str:
    """Return why there is no evidence."""
    if contact.state == State.IN_SYNC:
        return f"equal, compared {when}; whether it is set is not recorded"
    if contact.state in FAILING:
        before = moment(contact.in_sync_at)
        last = f"last in sync {before}" if before else "never in sync"
        return f"{contact.state}: {contact.why}, tried {when}; {last}"
    return f"{contact.state}: {contact.why}" if contact.why else contact.state

"""The design rules for marking tests: `@pytest.mark.rule(9)`."""

from collections.abc import Iterable

import pytest

RULES = {
    1: "values come from the source, read again for each run, and never from events",
    2: "no write to the management account, nor to an account out of scope",
    3: "compare, and write only what differs",
    4: "source and configuration are checked before the first write",
    5: "nothing to sync is an error with its remedy, never a success",
    6: "a failure of one account or contact type never stops another",
    7: "runs do not overlap, and no queued request is lost",
    8: "own writes never start a run",
    9: "a change reaches every account",
    10: "payloads and histories stay within the limits at 50,000 accounts",
    11: "organizational units are resolved, or the run ends with a named error",
    12: "no contact value is kept, logged or sent",
    13: "each function and trigger has its own role with exactly what it uses, in every partition",
    14: "one customer-managed key, and policies as AWS documents them",
    15: "invalid input gets a clear error and loses nothing; every step is idempotent",
    16: "every Task and the machine have a timeout, and every end is reported",
    17: "clients set retries and timeouts explicitly",
    18: "events of us-east-1 and of Control Tower's home Region reach the stack",
    19: "one environment acts by itself, and QuotaShare is kept",
}


def listed(items: Iterable[pytest.Item]) -> str:
    """Return each rule with the tests marked for it."""
    tests: dict[int, dict[str, None]] = {number: {} for number in RULES}
    for item in items:
        for mark in item.iter_markers("rule"):
            tests[mark.args[0]][item.nodeid.partition("[")[0]] = None
    lines = []
    for number, title in RULES.items():
        lines += [f"rule {number}: {title}", *(f"  {name}" for name in tests[number] or ["NONE"])]
    return "\n".join(lines)

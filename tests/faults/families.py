"""Families of cases: each is one kind of past failure, with the rest drawn."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from faults.cases import (
    DAY,
    FUNCTIONS,
    INVALID,
    REFUSED_ADDRESS,
    TYPES,
    UNKNOWN,
    Act,
    Case,
    Conditions,
    change,
    ids_of,
    throttle,
)
from standin.organization.quotas import DEFAULT_QUOTAS
from standin.organization.worlds import SOURCE_CONTACTS, drifted_world

Json = dict[str, Any]
Family = Callable[[random.Random, Case], Case]

ALTERNATES = TYPES[1:]


def well(rng: random.Random, case: Case, **changes: Any) -> Case:
    """Return the case with no fault, in an organization where every contact can be written."""
    world = drifted_world(rng.randint(2, 4), rng.randint(1, 1_000), missing=0.2)
    world["quotas"] = {operation: [1e6, 1e6] for operation in DEFAULT_QUOTAS}
    no_exclusion: Json = {"excluded_accounts": [], "excluded_organizational_units": []}
    more: Json = {"items": "", "faults": (), "organization_faults": (), "acts": ()}
    more |= {"healing": rng.choice(("change", "schedule", "by hand")), **changes}
    return replace(
        case,
        world={**case.world, **world, "denied_accounts": [], "omit_paths": []}
        | {"read_delay": 0.0},
        config={**case.config, **no_exclusion, "contact_types": list(TYPES)},
        conditions=Conditions(parking=case.conditions.parking),
        **more,
    )


def with_config(case: Case, **changes: Any) -> Case:
    return replace(case, config={**case.config, **changes})


def with_world(case: Case, **changes: Any) -> Case:
    return replace(case, world={**case.world, **changes})


def schedule(after: int | None = None, before: str = "") -> Act:
    return Act("start", after, before, {"input": {"trigger": {"source": "schedule"}}})


def start(execution_input: Any, after: int | None = None, before: str = "") -> Act:
    return Act("start", after, before, {"input": execution_input})


def changed(rng: random.Random, name: str, value: int | None, after: int | None = None) -> Act:
    return Act("change", after, "", {**change(rng, name, value), "late": 0.0})


def denied(rng: random.Random, case: Case, name: str = "", **more: Any) -> Json:
    """Return a fault that denies the product one contact of one account, forever by default."""
    name = name or rng.choice(ALTERNATES)
    operation = "PutContactInformation" if name == "primary" else "PutAlternateContact"
    fault = {"operation": operation, "error": "AccessDeniedException", "times": None}
    account_id = rng.choice(ids_of(case.world))
    return {**fault, "account_id": account_id, "contact_type": name.upper(), **more}


def a_function_is_broken(rng: random.Random, case: Case) -> Case:
    """A function of a release fails on import until it is fixed."""
    error = rng.choice(("Runtime.ImportModuleError", "Sandbox.Timedout", "CrashError"))
    fault = {"function": rng.choice(FUNCTIONS), "error": error}
    acts = (schedule(), *(changed(rng, rng.choice(TYPES), 1) for _ in range(rng.randint(0, 2))))
    return well(rng, case, faults=(fault,), acts=acts)


def a_service_is_broken(rng: random.Random, case: Case) -> Case:
    """A table, the bucket, the topic or an API refuses every call."""
    service = rng.choice(("dynamodb", "s3", "sns", "secretsmanager", "stepfunctions", "states"))
    fault = {
        "service": service,
        "error": "AccessDeniedException",
        "skip": rng.choice((0, 0, 9, 20)),
    }
    acts = (schedule(), changed(rng, rng.choice(TYPES), 1, rng.choice((None, 9))))
    return well(rng, case, faults=(fault,), acts=acts)


def the_source_goes_back(rng: random.Random, case: Case) -> Case:
    """The source gets a new value, which fails in one account, and then the earlier value again."""
    case = well(rng, case)
    name = rng.choice(ALTERNATES)
    acts = (schedule(), changed(rng, name, 1), changed(rng, name, 0, rng.choice((None, 30))))
    fault = denied(rng, case, name)
    acts = (acts[0], Act("fail", None, "", fault), *acts[1:])
    return replace(case, acts=acts, healing=rng.choice(("change", "schedule")))


def a_narrow_request_follows(rng: random.Random, case: Case) -> Case:
    """One contact fails in one account, while a request for another type is queued."""
    case = well(rng, case)
    failing, asked = rng.sample(ALTERNATES, 2)
    acts = (schedule(), start({"contact_types": [asked]}, rng.randint(3, 40)))
    return replace(case, acts=acts, organization_faults=(denied(rng, case, failing),))


def a_change_is_read_late(rng: random.Random, case: Case) -> Case:
    """A contact changes and its first reads are stale, while an account always fails."""
    case = well(rng, case)
    case = with_world(case, read_delay=rng.choice((40.0, 60.0, 100.0, 240.0)))
    fault = (denied(rng, case),) if rng.random() < 0.7 else ()
    acts = (schedule(), changed(rng, rng.choice(TYPES), 1))
    return replace(case, acts=acts, organization_faults=fault)


def a_contact_is_set_again(rng: random.Random, case: Case) -> Case:
    """A source contact is deleted and set again within a minute."""
    case = with_config(well(rng, case), on_source_deleted="delete")
    case = with_world(case, read_delay=rng.choice((0.0, 20.0, 40.0)))
    name = rng.choice(ALTERNATES)
    again = Act("pass", 0, "", {"seconds": rng.choice((15.0, 25.0, 45.0))})
    acts = (schedule(), changed(rng, name, None), again, changed(rng, name, 0, 0))
    return replace(case, acts=acts)


def an_account_leaves(rng: random.Random, case: Case) -> Case:
    """An account leaves or is closed during a run."""
    account = {"account": rng.randint(0, 9), "with_event": rng.random() < 0.9}
    act = Act(rng.choice(("leave", "close")), rng.randint(3, 80), "", account)
    case = well(rng, case, acts=(schedule(), act))
    return replace(case, conditions=replace(case.conditions, parking=1.0))


def a_function_is_late(rng: random.Random, case: Case) -> Case:
    """A run is stopped during a function call, which continues after the next run has begun."""
    before = rng.choice(("PutAlternateContact", "PutContactInformation"))
    stop = rng.choice(("abort", "abort", "time out"))
    acts = (schedule(), Act(stop, 0, before, {"which": 0}))
    later = changed(rng, rng.choice(TYPES), 1, rng.choice((0, 5, None)))
    redrive = (Act("redrive", rng.choice((3, 20, None)), "", {"which": 0}),)
    conditions = Conditions(parking=1.0, late_children=rng.choice((0.0, 1.0)))
    case = well(rng, case, acts=(*acts, later, *redrive * rng.randint(0, 1)))
    return replace(case, conditions=conditions)


def a_run_is_redriven(rng: random.Random, case: Case) -> Case:
    """A stopped run is redriven during or after another run that does its work."""
    stop = Act(rng.choice(("abort", "time out")), rng.randint(5, 60), "", {"which": 0})
    next_run = changed(rng, rng.choice(TYPES), 1, rng.choice((2, None)))
    redrive = Act("redrive", rng.choice((None, 10, 40)), "", {"which": 0})
    return well(rng, case, acts=(schedule(), stop, next_run, redrive))


def the_end_is_known_late(rng: random.Random, case: Case) -> Case:
    """A run times out with a request queued, and DescribeExecution still reports it as running."""
    stop = Act("time out", rng.randint(1, 20), "", {"which": 0})
    queued = changed(rng, rng.choice(TYPES), 1, rng.randint(0, 10))
    acts = (schedule(), replace(queued, before="PutAlternateContact"), stop)
    case = well(rng, case, acts=acts)
    return replace(case, conditions=replace(case.conditions, end_lag=rng.choice((5.0, 60.0))))


def the_start_is_known_late(rng: random.Random, case: Case) -> Case:
    """DescribeExecution does not know a run that has just begun, when another run looks it up."""
    acts = (
        schedule(),
        start({}, rng.randint(3, 30)),
        changed(rng, "billing", 1, rng.randint(0, 20)),
    )
    case = well(rng, case, acts=acts)
    return replace(case, conditions=replace(case.conditions, start_lag=30.0))


def another_release_ran(rng: random.Random, case: Case) -> Case:
    """The state table holds items of an earlier release, or of a later one before a rollback."""
    case = well(rng, case, acts=(schedule(),), items=rng.choice(("held", "idle")))
    return replace(case, items_are_later=rng.random() < 0.6)


def a_failed_run_is_retried(rng: random.Random, case: Case) -> Case:
    """Two accounts fail, one of them leaves, and the failed ones are retried."""
    case = well(rng, case)
    faults = tuple(
        denied(rng, case, "billing", account_id=account_id) for account_id in ids_of(case.world)[:2]
    )
    gone = Act("leave", None, "", {"account": 0, "with_event": rng.random() < 0.5})
    gone_or_not = (gone,) * (rng.random() < 0.7)
    acts = (schedule(), *gone_or_not, start({"retry_of": "the last that failed"}))
    return replace(case, acts=acts, organization_faults=faults)


def a_bad_request_is_queued(rng: random.Random, case: Case) -> Case:
    """During a run, a request names unknown accounts or is malformed."""
    wrong = rng.choice(({"account_ids": [UNKNOWN]}, {"account_ids": [UNKNOWN]}, *INVALID))
    return well(rng, case, acts=(schedule(), start(wrong, rng.randint(3, 40))))


def a_bad_request_comes_alone(rng: random.Random, case: Case) -> Case:
    return well(rng, case, acts=(start(rng.choice(INVALID)),))


def a_function_fails_for_a_while(rng: random.Random, case: Case) -> Case:
    """The handler or reporter fails temporarily with requests queued; then a retry follows."""
    fault = {
        "function": rng.choice(("contact-sync-handler", "sync-reporter")),
        "error": rng.choice(("Lambda.Unknown", "CrashError", "Sandbox.Timedout")),
        "skip": rng.randint(0, 6),
        "seconds": 120.0,
    }
    acts = (schedule(), changed(rng, rng.choice(TYPES), 1, rng.randint(3, 40)))
    return well(rng, case, acts=acts, faults=(fault,), healing="retry")


def the_table_is_throttled(rng: random.Random, case: Case) -> Case:
    """DynamoDB throttles the machine once or twice, under any name of the error."""
    fault = throttle(rng, rng.randint(0, 3))
    return well(rng, case, acts=(schedule(),), faults=(fault,))


def the_topic_refuses_for_a_minute(rng: random.Random, case: Case) -> Case:
    """Publishing fails for a minute at the end of a run in which an account failed."""
    case = well(rng, case)
    refusal = {"service": "sns", "error": "InternalErrorException", "seconds": 60.0, "mild": True}
    case = replace(case, acts=(schedule(),), faults=(refusal,))
    return replace(case, organization_faults=(denied(rng, case),))


def no_account_is_active(rng: random.Random, case: Case) -> Case:
    case = well(rng, case, acts=(schedule(),), healing=rng.choice(("schedule", "by hand")))
    accounts = [{**account, "state": "SUSPENDED"} for account in case.world["accounts"]]
    return with_world(case, accounts=accounts)


def a_processor_dies_after_its_write(rng: random.Random, case: Case) -> Case:
    """A processor dies between its write and its record; later, the contact must be deleted."""
    fault = {
        "function": "alternate-contact-processor",
        "error": "kill",
        "calls": rng.randint(3, 12),
        "performed": True,
        "times": 1,
    }
    # By then, the contact has been missing for long enough.
    lost = Act("change", None, "", {**change(rng, rng.choice(ALTERNATES), None), "late": 600.0})
    acts = (schedule(), lost)
    return with_config(well(rng, case, acts=acts, faults=(fault,)), on_source_deleted="delete")


def accounts_are_listed_twice(rng: random.Random, case: Case) -> Case:
    case = well(rng, case, acts=(schedule(),))
    return replace(case, conditions=replace(case.conditions, lists_twice=1))


def a_member_fights_back(rng: random.Random, case: Case) -> Case:
    """A member repeatedly sets its own contact, with runs in between."""
    name, value = rng.choice(TYPES), rng.choice((0, 0, 1))
    drift = {"account": rng.randint(0, 9), "type": name, "value": value}
    acts = [schedule()]
    for _ in range(rng.randint(1, 4)):
        acts += [Act("drift", None, "", drift)]
        acts += [Act("pass", None, "", {"seconds": rng.choice((600.0, DAY))}), schedule()]
    return well(rng, case, acts=tuple(acts), healing=rng.choice(("schedule", "by hand")))


def an_account_joins(rng: random.Random, case: Case) -> Case:
    """An account joins, at rest or during a run, and temporarily denies its contacts."""
    join = Act(
        "join", rng.choice((None, rng.randint(0, 60))), "", {"with_event": rng.random() < 0.9}
    )
    case = well(rng, case, acts=(schedule(), join), healing="by hand")
    return replace(
        case, conditions=replace(case.conditions, joins_denied=rng.choice((20.0, 300.0)))
    )


def phone_numbers_are_normalized(rng: random.Random, case: Case) -> Case:
    acts = (schedule(), Act("pass", None, "", {"seconds": DAY}), schedule())
    case = well(rng, case, acts=acts)
    return replace(case, conditions=replace(case.conditions, normalizes=True))


def the_queue_fills(rng: random.Random, case: Case) -> Case:
    """Changes and requests arrive in any state of a run, which may be stopped."""
    acts: list[Act] = [schedule()]
    for _ in range(rng.randint(2, 5)):
        other = start(rng.choice(({}, {"contact_types": ["security"]})), rng.randint(0, 30))
        acts.append(rng.choice((changed(rng, rng.choice(TYPES), 1, rng.randint(0, 30)), other)))
    if rng.random() < 0.5:
        stop = rng.choice(("abort", "time out"))
        at = rng.randint(1, len(acts))
        acts.insert(at, Act(stop, rng.randint(0, 30), "", {"which": 0}))
    case = well(rng, case, acts=tuple(acts))
    lags = {"start_lag": rng.choice((0.0, 5.0)), "end_lag": rng.choice((0.0, 10.0))}
    return replace(case, conditions=replace(case.conditions, **lags))


def one_type_of_the_source_is_invalid(rng: random.Random, case: Case) -> Case:
    """One type of the source is invalid, perhaps the only one; it may be corrected later."""
    case = well(rng, case, acts=(schedule(),), healing="by hand")
    case = with_world(case, read_delay=rng.choice((0.0, 0.0, 40.0, 240.0)))
    if rng.random() < 0.5:
        case = replace(case, acts=(*case.acts, changed(rng, "security", 1)))
    source = {name: dict(contact) for name, contact in SOURCE_CONTACTS.items()}
    source["SECURITY"]["EmailAddress"] = REFUSED_ADDRESS
    if rng.random() < 0.2:
        source = {"SECURITY": source["SECURITY"]}
    contacts = {**case.world["contacts"], case.world["management_account_id"]: source}
    return with_world(case, contacts=contacts)


def a_run_is_undone(rng: random.Random, case: Case) -> Case:
    """A run is undone, also in accounts that were since changed or excluded; the undo may die."""
    undo = Act("undo", None, "", {"which": 0, "dry": rng.random() < 0.1})
    case = with_config(well(rng, case), on_source_deleted=rng.choice(("keep", "delete")))
    acts: list[Act] = [schedule()]
    if rng.random() < 0.3:
        drift = {"account": rng.randint(0, 9), "type": rng.choice(TYPES), "value": 1}
        acts.append(Act("drift", None, "", drift))
    acts.append(Act("pass", None, "", {"seconds": rng.choice((0.0, 600.0, DAY))}))
    if rng.random() < 0.3:
        less = {"excluded_accounts": ids_of(case.world)[:1], "contact_types": list(TYPES[:2])}
        acts.append(Act("configure", None, "", {**case.config, **less}))
    acts.append(undo)
    if rng.random() < 0.4:
        acts.append(Act(rng.choice(("abort", "time out")), rng.randint(1, 40), "", {"which": 0}))
    elif rng.random() < 0.5:
        acts.append(changed(rng, rng.choice(TYPES), 1, rng.randint(0, 40)))
    elif rng.random() < 0.5:
        acts.append(replace(undo, what={"which": rng.randint(0, 1), "dry": False}))
    return replace(case, acts=tuple(acts))


FAMILIES: tuple[Family, ...] = (
    a_function_is_broken,
    a_service_is_broken,
    the_source_goes_back,
    a_narrow_request_follows,
    a_change_is_read_late,
    a_contact_is_set_again,
    an_account_leaves,
    a_function_is_late,
    a_run_is_redriven,
    the_end_is_known_late,
    the_start_is_known_late,
    another_release_ran,
    a_failed_run_is_retried,
    a_bad_request_is_queued,
    a_bad_request_comes_alone,
    a_function_fails_for_a_while,
    the_table_is_throttled,
    the_topic_refuses_for_a_minute,
    no_account_is_active,
    a_processor_dies_after_its_write,
    accounts_are_listed_twice,
    a_member_fights_back,
    an_account_joins,
    phone_numbers_are_normalized,
    the_queue_fills,
    one_type_of_the_source_is_invalid,
    a_run_is_undone,
)

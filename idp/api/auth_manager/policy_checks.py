"""What somebody may do, on :func:`idp.access.policy.permitted`: the decision that everything else asks for, AuthZEN included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from idp.access import authzen, policy
from idp.access.conditions import Context
from idp.api.auth_manager import examples
from idp.api.auth_manager.models import CheckContext, Decision, Decisions, PolicyCheck, PolicyChecks
from idp.api.operations import Operation, Reply
from idp.clock import now

if TYPE_CHECKING:
    from idp.api.operations import Call
    from idp.store.rows import Connection

TAG = "Policy"
_PATH = "/tenants/{tenant_id}/policy-checks"


def check_policy(call: Call) -> Reply:
    """Decide one question."""
    with call.server.database.reading() as conn:
        return Reply(_decided(conn, call.body, now()))


def check_policies(call: Call) -> Reply:
    """Decide several questions."""
    body: PolicyChecks = call.body
    at = now()
    with call.server.database.reading() as conn:
        return Reply({"decisions": [_decided(conn, each, at) for each in body.checks]})


def _decided(conn: Connection, check: PolicyCheck, at: int) -> dict[str, Any]:
    given: Any = check.context or CheckContext()
    context = Context(at, given.source, tuple(given.amr or ()), given.properties or {})
    subject = authzen.find_subject(conn, {"type": check.subject.type, "id": check.subject.id})
    if subject is None:
        return policy.NO_SUBJECT.document()
    return policy.permitted(conn, subject, check.permission, context=context, resource=check.resource or "").document()


OPERATIONS = (
    Operation(
        name="check_policy",
        method="POST",
        path=_PATH,
        permission="policy:check",
        summary="Check a permission",
        description="Whether a user or an application has a permission, in the whole tenant or for one resource, in the circumstances that "
        "are given: why, and by which role binding. It is the decision of the tenant's AuthZEN endpoints. Somebody who is not there is "
        "answered 200 with `subject_unknown`.",
        tag=TAG,
        handle=check_policy,
        body=PolicyCheck,
        answer=Decision,
        body_example=examples.CHECK,
        answer_example=examples.DECISION,
    ),
    Operation(
        name="check_policies",
        method="POST",
        path=_PATH + "/batch",
        permission="policy:check",
        summary="Check several permissions",
        description="Up to a hundred questions, each decided for itself, as of one moment.",
        tag=TAG,
        handle=check_policies,
        body=PolicyChecks,
        answer=Decisions,
        body_example=examples.CHECKS,
        answer_example=examples.DECISIONS,
    ),
)

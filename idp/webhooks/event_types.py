"""The table of event types: which kind of audit event each tells of, what it says, and who may read it.

A kind of audit event is either here or in :data:`NOT_SENT`; a test holds that there is no third. What an event says is what the table
lists and nothing else: a detail that somebody adds to the trail is told to nobody before it is added here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TEST = "webhook.test"  # of no family: it is sent when somebody asks for it
EVERYTHING = "*"

# Of every event: name in `data` → what it is, as JSON Schema.
_TEXT: Mapping[str, Any] = {"type": "string"}
_COMMON: Mapping[str, Mapping[str, Any]] = {
    "event_id": {"type": "string", "description": "The event's id in the audit trail."},
    "sequence": {
        "type": "integer",
        "description": "Its number in the tenant's audit chain: later events have higher ones.",
    },
    "tenant_id": {"type": "string", "description": "The tenant's id."},
    "actor": {
        "type": "string",
        "description": "Who did it: a user's id, `client:ID`, `operator`, `worker`, or `system:…` for the platform's people. Absent "
        "where nobody is known.",
    },
    "user_id": {"type": "string", "description": "The user whom it is about, the `sub` of tokens."},
    "client_id": {"type": "string", "description": "The application that it is about, or through which it happened."},
    "session_id": {"type": "string", "description": "The session in which it happened."},
}
_SOURCE: Mapping[str, Mapping[str, Any]] = {
    "source": {"type": "string", "description": "The network address that the request came from."}
}


def _text(about: str) -> dict[str, Any]:
    return {"type": "string", "description": about}


def _number(about: str) -> dict[str, Any]:
    return {"type": "integer", "description": about}


def _flag(about: str) -> dict[str, Any]:
    return {"type": "boolean", "description": about}


def _names(about: str) -> dict[str, Any]:
    return {"type": "array", "items": _TEXT, "description": about}


_ENDED = {"sessions_ended": _number("How many sessions ended with it.")}
_GRANTS = {"grants_ended": _number("How many grants ended with it.")}
_REASON = {"reason": _text("Why, as a code.")}
_BINDING = {
    "binding": _text("The binding's id."),
    "role": _text("The role."),
    "holder_type": _text("`user`, `group` or `client`."),
    "holder": _text("The holder's id."),
    "resource": _text("The resource `type:id` for which it holds; empty: the whole tenant."),
}
_WEBHOOK = {"webhook": _text("The webhook's id."), "host": _text("The host of its address.")}


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type; ``details`` are members of ``data.details``, each as JSON Schema."""

    name: str
    kind: str  # of the audit event
    permission: str  # that whoever wants to be told must hold
    about: str
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    has_source: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        """The members of ``data`` beside ``details``."""
        return (*_COMMON, *(_SOURCE if self.has_source else ()))

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the whole message. Receivers must tolerate further members."""
        properties: dict[str, Any] = {**_COMMON, **(_SOURCE if self.has_source else {})}
        if self.details:
            details = {name: dict(each) for name, each in self.details.items()}
            properties["details"] = {"type": "object", "properties": details, "description": "What changed, or why."}
        data = {"type": "object", "properties": properties, "required": ["event_id", "sequence", "tenant_id"]}
        return {
            "type": "object",
            "properties": {
                "type": {"const": self.name},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": data,
            },
            "required": ["type", "timestamp", "data"],
        }

    @property
    def example(self) -> dict[str, Any]:
        """A message as it may be."""
        data: dict[str, Any] = {
            "event_id": "c4ca4238a0b923820dcc509a6f75849b",
            "sequence": 4711,
            "tenant_id": "8f14e45fceea467a9575e9b1c6f0a1d3",
            "actor": "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b",
        }
        if self.name.startswith("client."):
            data["client_id"] = "orders-web"
        elif self.name.startswith(("user.", "session.")):
            data["user_id"] = "6f4922f45568161a8cdf4ad2299f6d23"
        if self.has_source:
            data["source"] = "203.0.113.7"
        if self.details:
            data["details"] = {name: _sample(each) for name, each in self.details.items()}
        return {"type": self.name, "timestamp": "2026-11-29T14:00:00Z", "data": data}


def _sample(schema: Mapping[str, Any]) -> Any:
    return {"string": "example", "integer": 1, "boolean": True, "array": ["example"]}[schema["type"]]


# fmt: off
EVENT_TYPES: tuple[EventType, ...] = (
    EventType("user.created", "user.created", "users:read", "An account was made by an administrator or an import",
              {"roles": _names("The roles given."), "imported": _flag("Whether by an import.")}),
    EventType("user.signed_up", "user.signed_up", "users:read", "Somebody made an account for themselves"),
    EventType("user.updated", "user.profile_changed", "users:read", "The profile was changed",
              {"claims": _names("The names of what changed, without the values.")}),
    EventType("user.email_changed", "user.email_changed", "users:read", "The e-mail address was changed",
              {"username_changed": _flag("Whether the name to sign in with changed too."), **_ENDED}),
    EventType("user.password_changed", "user.password_changed", "users:read", "The password was changed",
              {"way": _text("`recovery` where it was done through a link; else absent."), **_ENDED}),
    EventType("user.password_reset", "user.password_reset", "users:read", "An administrator wants another password to be chosen"),
    EventType("user.disabled", "user.disabled", "users:read", "The account was disabled", _ENDED),
    EventType("user.enabled", "user.enabled", "users:read", "The account was enabled again"),
    EventType("user.deleted", "user.deleted", "users:read", "The account was deleted",
              {"is_kept": _flag("Whether it can still be restored."), **_ENDED}),
    EventType("user.restored", "user.restored", "users:read", "A deleted account was restored",
              {"state": _text("The state that it has again.")}),
    EventType("user.purged", "user.purged", "users:read", "A deleted account was removed for good"),
    EventType("user.unlocked", "user.unlocked", "users:read", "The lock after too many failed sign-ins was ended"),
    EventType("user.invited", "invitation.sent", "invitations:read", "Somebody was invited",
              {"roles": _names("The roles that come with it."), "again": _flag("Whether it was sent again.")}),
    EventType("user.invitation_accepted", "invitation.accepted", "invitations:read", "An invitation was accepted"),
    EventType("user.invitation_cancelled", "invitation.cancelled", "invitations:read", "An invitation was cancelled"),
    EventType("user.terms_accepted", "terms.accepted", "users:read", "The terms of use were accepted",
              {"version": _text("The version of the terms.")}),
    EventType("user.consent_granted", "consent.granted", "consents:read", "An application was allowed access",
              {"scopes": _names("The scopes.")}),
    EventType("user.consent_withdrawn", "consent.withdrawn", "consents:read", "An application’s access was taken back", _GRANTS),
    EventType("user.data_exported", "user.data_exported", "users:read", "The account’s data was downloaded"),

    EventType("session.started", "login.succeeded", "sessions:read", "Somebody signed in",
              {"amr": _names("How (RFC 8176).")}, has_source=True),
    EventType("session.ended", "session.ended", "sessions:read", "A session was ended at sign-out", _REASON, has_source=True),
    EventType("session.others_ended", "user.sessions_ended", "sessions:read", "All other devices of an account were signed out",
              _ENDED, has_source=True),

    EventType("client.created", "client.created", "clients:read", "An application was registered",
              {"client_profile": _text("Its profile."), "auth_method": _text("How it authenticates.")}),
    EventType("client.updated", "client.updated", "clients:read", "An application’s metadata was changed",
              {"members": _names("The names of what changed.")}),
    EventType("client.secret_rotated", "client.secret_rotated", "clients:read", "An application was given a new secret"),
    EventType("client.disabled", "client.disabled", "clients:read", "An application was disabled", _GRANTS),
    EventType("client.enabled", "client.enabled", "clients:read", "An application was enabled again"),
    EventType("client.deleted", "client.deleted", "clients:read", "An application was deleted", _GRANTS),

    EventType("role.created", "role.created", "roles:read", "A role was made",
              {"role": _text("The role."), "permissions": _names("What it grants.")}),
    EventType("role.updated", "role.updated", "roles:read", "A role was changed",
              {"role": _text("The role."), "added": _names("What it grants now."), "removed": _names("What it grants no more.")}),
    EventType("role.deleted", "role.deleted", "roles:read", "A role was deleted",
              {"role": _text("The role."), "bindings": _number("How many bindings ended with it.")}),
    EventType("role.granted", "role_binding.created", "role-bindings:read", "Somebody was given a role", _BINDING),
    EventType("role.grant_changed", "role_binding.updated", "role-bindings:read", "End or conditions of a role were changed",
              _BINDING),
    EventType("role.revoked", "role_binding.deleted", "role-bindings:read", "A role was taken from somebody", _BINDING),

    EventType("group.created", "group.created", "groups:read", "A group was made",
              {"group": _text("The group’s id."), "name": _text("Its name.")}),
    EventType("group.updated", "group.updated", "groups:read", "A group was changed",
              {"group": _text("The group’s id."), "members": _names("The names of what changed.")}),
    EventType("group.deleted", "group.deleted", "groups:read", "A group was deleted",
              {"group": _text("The group’s id."), "name": _text("Its name."), "users": _number("How many users were in it.")}),
    EventType("group.user_added", "group.user_added", "groups:read", "A user was put into a group", {"group": _text("The group’s id.")}),
    EventType("group.user_removed", "group.user_removed", "groups:read", "A user was taken out of a group",
              {"group": _text("The group’s id.")}),

    EventType("security.login_failed", "login.failed", "audit:read", "A sign-in failed", _REASON, has_source=True),
    EventType("security.password_refused", "user.password_refused", "audit:read",
              "Somebody who is signed in did not know the account’s password", _REASON, has_source=True),
    EventType("security.recovery_mailed", "recovery.mailed", "audit:read", "A mail for a forgotten password was sent",
              {"mail": _text("Which one.")}),
    EventType("security.account_locked", "unlock.mailed", "audit:read", "An account was locked after too many failed sign-ins"),
    EventType("security.code_reused", "code.reused", "audit:read",
              "An authorization code was used twice; what was issued for it was revoked", has_source=True),
    EventType("security.refresh_token_reused", "refresh_token.reused", "audit:read",
              "A refresh token was used twice; its family was revoked", has_source=True),
    EventType("security.keys_rotated", "keys.rotated", "audit:read", "Signing keys were rotated",
              {"transitions": _names("What became of which key.")}),
    EventType("security.keys_revoked", "keys.revoked", "audit:read", "Signing keys were revoked",
              {"transitions": _names("What became of which key.")}),
    EventType("security.settings_changed", "tenant.settings_changed", "audit:read", "The tenant’s settings were changed"),
    EventType("security.token_withdrawn", "token.withdrawn", "audit:read", "An operator ended a token or an application’s access",
              {"kind": _text("`access_token` or `refresh_token`.")}),
    EventType("security.audit_exported", "audit.exported", "audit:read", "The audit log was exported",
              {"events": _number("How many events.")}),
    EventType("security.domain_proven", "domain.proven", "audit:read", "A domain was proven to be the tenant’s",
              {"domain": _text("The domain.")}),
    EventType("security.domain_removed", "domain.removed", "audit:read", "A domain was removed", {"domain": _text("The domain.")}),
    EventType("security.webhook_created", "webhook.created", "audit:read", "A webhook was made", _WEBHOOK),
    EventType("security.webhook_updated", "webhook.updated", "audit:read", "A webhook was changed",
              {**_WEBHOOK, "members": _names("The names of what changed.")}),
    EventType("security.webhook_deleted", "webhook.deleted", "audit:read", "A webhook was deleted", _WEBHOOK),
    EventType("security.webhook_disabled", "webhook.disabled", "audit:read", "A webhook was disabled, because its address is gone or fails",
              {**_WEBHOOK, **_REASON}),
)
# Kinds of audit events that no webhook is told of, and why.
NOT_SENT: Mapping[str, str] = {
    "authorization.granted": "one for each code; the sign-in is session.started",
    "token.issued": "one for each token",
    "token.refreshed": "one for each token",
    "token.revoked": "one for each token",
    "consent.denied": "nothing changed",
    "session.chosen": "nothing changed",
    "signup.requested": "nothing changed yet; user.signed_up follows",
    "recovery.requested": "whoever asked may be anybody; security.recovery_mailed follows where there is an account",
    "user.email_change_asked": "nothing changed yet; user.email_changed follows",
    "domain.claimed": "nothing changed yet; security.domain_proven follows",
    "users.imported": "each account has its user.created",
    "permission.created": "what roles grant is told by role.*",
    "permission.updated": "what roles grant is told by role.*",
    "permission.deleted": "what roles grant is told by role.*",
    "scope.created": "administrators read it in the trail",
    "scope.updated": "administrators read it in the trail",
    "scope.deleted": "administrators read it in the trail",
    "registration_token.created": "administrators read it in the trail",
    "registration_token.revoked": "administrators read it in the trail",
    "profile.schema_changed": "administrators read it in the trail",
    "terms.put_in_force": "administrators read it in the trail",
    "terms.ended": "administrators read it in the trail",
    "text.set": "how pages look",
    "text.reset": "how pages look",
    "mail.wording_changed": "how mails look",
    "mail.wording_reset": "how mails look",
    "mail.server_changed": "operators read it in the trail",
    "outbox.dead": "it would tell of itself",
    "outbox.retried": "it would tell of itself",
    "outbox.discarded": "it would tell of itself",
    "webhook.tested": "it would tell of itself",
    "webhook.replayed": "it would tell of itself",
    "webhook.secret_rotated": "it would be signed by what it tells of",
    "keys.rewrapped": "operators read it in the trail of `system`",
    "tenant.created": "operators read it in the trail",
    "tenant.deleted": "operators read it in the trail of `system`",
    "tenant.suspended": "a suspended tenant tells nobody anything",
    "tenant.resumed": "operators read it in the trail",
    "tenant.issuer_changed": "operators read it in the trail",
    "tenant.picture_changed": "how pages look",
}
# fmt: on
BY_KIND = {each.kind: each for each in EVENT_TYPES}
BY_NAME = {each.name: each for each in EVENT_TYPES}
FAMILIES = tuple(dict.fromkeys(name.partition(".")[0] for name in BY_NAME))


def is_pattern(text: str) -> bool:
    """Say whether a text is the name of an event type, ``family.*`` or ``*``."""
    family, _, rest = text.partition(".")
    return text == EVERYTHING or text in BY_NAME or (rest == EVERYTHING and family in FAMILIES)


def matches(patterns: Iterable[str], name: str) -> bool:
    """Say whether one of some patterns is about an event type."""
    family = f"{name.partition('.')[0]}.{EVERYTHING}"
    return any(each in (EVERYTHING, name, family) for each in patterns)


def permissions_for(patterns: Iterable[str]) -> frozenset[str]:
    """Return what somebody must be allowed to read who is told of what some patterns are about."""
    wanted = list(patterns)
    return frozenset(each.permission for each in EVENT_TYPES if matches(wanted, each.name))

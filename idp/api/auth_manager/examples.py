"""The examples of the document; a test validates them by the models, and sends the requests."""

from __future__ import annotations

from typing import Any

USER = "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b"
BINDING = "c4ca4238a0b923820dcc509a6f75849b"
_PAGE = {"page": 1, "limit": 10, "total": 1, "total_pages": 1}
_GRANTED: dict[str, Any] = {
    "allowed": True,
    "reason": "granted",
    "explanation": "The role editor is held by a binding.",
    "role": "editor",
    "binding_id": BINDING,
}

TOKEN_QUESTION: dict[str, Any] = {
    "token": "eyJhbGciOiJFUzI1NiIsImtpZCI6Ik56YkxzWGg4dURDY2QiLCJ0eXAiOiJhdCtqd3QifQ.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
    "scopes": ["documents"],
    "audience": "https://documents.example/api",
    "permission": {"name": "document:write", "resource": "document:4711"},
    "source": "192.0.2.7",
}
TOKEN_ANSWER: dict[str, Any] = {
    "active": True,
    "allowed": True,
    "claims": {
        "iss": "https://id.example.com/t/acme",
        "sub": USER,
        "aud": "https://documents.example/api",
        "client_id": "documents-web",
        "scope": "documents",
        "iat": 1795960800,
        "exp": 1795964400,
        "jti": "2cW9q3b1mGZ0pI1Hc5bXxJ7L",
    },
    "user": {"id": USER, "username": "ada@example.org"},
    "scopes": [{"scope": "documents", "held": True}],
    "audience": {"audience": "https://documents.example/api", "held": True},
    "permission": {"permission": "document:write", **_GRANTED},
}
CHECK: dict[str, Any] = {
    "subject": {"type": "user", "id": "ada@example.org"},
    "permission": "document:write",
    "resource": "document:4711",
    "context": {"source": "192.0.2.7", "amr": ["pwd"], "properties": {"resource": {"status": "draft"}}},
}
DECISION: dict[str, Any] = _GRANTED
CHECKS: dict[str, Any] = {
    "checks": [CHECK, {"subject": {"type": "client", "id": "orders"}, "permission": "order:read"}]
}
DECISIONS: dict[str, Any] = {
    "decisions": [
        DECISION,
        {
            "allowed": False,
            "reason": "not_bound",
            "explanation": "No role that the subject holds here grants order:read.",
        },
    ]
}
PROFILE: dict[str, Any] = {
    "type": "user",
    "id": USER,
    "tenant": "acme",
    "client_id": "documents-web",
    "name": "Ada Lovelace",
    "username": "ada@example.org",
    "email": "ada@example.org",
    "email_verified": True,
    "claims": {"name": "Ada Lovelace", "locale": "en"},
}
MEMBERSHIPS: dict[str, Any] = {
    "items": [
        {
            "id": "8f14e45fceea467a9575e9b1c6f0a1d3",
            "name": "Editorial office",
            "description": "Who writes",
            "member_since": "2026-11-29T14:00:00Z",
        }
    ],
    **_PAGE,
}
HELD: dict[str, Any] = {"roles": ["editor"], "permissions": ["document:write", "profile:read"]}
OWN_HELD: dict[str, Any] = {**HELD, "usable": ["profile:read"]}
AUTHENTICATION: dict[str, Any] = {
    "user_id": USER,
    "username": "ada@example.org",
    "state": "locked",
    "locked_until": "2026-11-29T15:15:00Z",
    "last_sign_in": "2026-11-29T14:00:00Z",
    "password": {"is_set": True, "must_change": False, "changed_at": "2026-11-01T09:30:00Z"},
    "factors": ["password"],
    "session_count": 1,
    "sessions": [
        {
            "signed_in_at": "2026-11-29T14:00:00Z",
            "last_seen_at": "2026-11-29T14:45:00Z",
            "amr": ["pwd"],
            "acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        }
    ],
}
WITHDRAWAL: dict[str, Any] = {"token": TOKEN_QUESTION["token"], "with_grant": True}
WITHDRAWN: dict[str, Any] = {"withdrawn": True, "kind": "access_token"}
USER_WITHDRAWAL: dict[str, Any] = {"client_id": "documents-web"}
USER_WITHDRAWN: dict[str, Any] = {"grants_ended": 2}
KEY: dict[str, Any] = {
    "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    "use": "sig",
    "alg": "ES256",
    "state": "next",
    "created_at": "2026-11-29T14:00:00Z",
    "begins_at": "2026-11-29T14:06:00Z",
    "public": {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "use": "sig",
        "alg": "ES256",
        "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    },
}
KEYS: dict[str, Any] = {"items": [KEY]}
KEY_ROTATION: dict[str, Any] = {"algorithms": ["ES256"], "at_once": False}
KEY_CHANGES: dict[str, Any] = {
    "changes": [{"kid": KEY["kid"], "alg": "ES256", "change": "published"}],
    "items": [KEY],
}

"""The table of error codes: what each means and what to do. Answers, documents and the pages `/docs/errors/{code}` read it.

A code is a promise: programs decide by it. It is never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One code; `title` is the same in every answer, the answer's `detail` is about the one request."""

    code: str
    status: int
    title: str
    meaning: str
    fix: str


_TABLE = (
    Code(
        "invalid_request", 400, "The request cannot be read",
        "The body is no JSON, a name stands in it twice, or the address has a broken percent escape.",
        "Send one JSON value in UTF-8 with each name once. The answer's detail says what could not be read.",
    ),
    Code(
        "https_required", 400, "HTTPS is required",
        "The request came over plain HTTP. It is refused, not redirected: a redirect would hide that a token was sent in clear.",
        "Use https://, and revoke the token that was sent.",
    ),
    Code(
        "bad_host",
        400,
        "The host is malformed",
        "The Host header is missing, repeated, no host, or another one than that of the request's target.",
        "Send one Host header with the name that you connect to. A proxy in between may be rewriting it.",
    ),
    Code(
        "ambiguous_length", 400, "The length is ambiguous",
        "Content-Length stands beside Transfer-Encoding, or is no number.",
        "Send one of the two. A proxy in between may be rewriting requests.",
    ),
    Code(
        "token_missing", 401, "An access token is needed",
        "The request has no Authorization header of the scheme Bearer, or more than one.",
        "Send the access token once: Authorization: Bearer TOKEN. Tokens in the query string or the body are not read.",
    ),
    Code(
        "invalid_token", 401, "The access token is not accepted",
        "The token is expired, revoked, for another audience, or of a tenant that has nothing to say here; or its grant, session, "
        "user, application or tenant has ended.",
        "Get a new token for the audience of this service. The operators see the reason: idp explain REQUEST_ID.",
    ),
    Code(
        "permission_required", 403, "A permission is missing",
        "The token is good, and its holder may not do this here. The answer's permission names what is missing.",
        "Ask an administrator for a role with this permission, or for a token whose scopes allow it.",
    ),
    Code(
        "more_than_held", 403, "Only who holds as much may change this",
        "The thing holds, or would hold, permissions that the caller does not. Who changes its credentials would gain them.",
        "Let an administrator do it who holds these permissions.",
    ),
    Code(
        "platform_setting", 403, "Only the platform changes this",
        "The setting guards other tenants from this one. A tenant's own administrators see it and do not change it.",
        "Ask the administrators of the platform.",
    ),
    Code("forbidden", 403, "This is not allowed", "The caller is known, and may not do this.", "See the answer's detail."),
    Code(
        "not_found", 404, "There is no such thing",
        "Nothing has this address in this tenant. What belongs to another tenant is not found either.",
        "Compare the id and the tenant in the path.",
    ),
    Code(
        "method_not_allowed", 405, "The address does not take this method",
        "The address exists, with other methods. The header Allow lists them.",
        "Look the operation up in the service's document.",
    ),
    Code(
        "request_timeout", 408, "The body came too slowly",
        "The request's body did not arrive in time.",
        "Send the request again. Nothing was changed.",
    ),
    Code(
        "conflict", 409, "It collides with what exists",
        "Something with this id or name is there already, or the thing is in a state that does not allow this.",
        "Read what is there, then decide.",
    ),
    Code(
        "built_in_tenant", 409, "This is the platform's own tenant",
        "The tenant system administers the others. It is neither suspended nor deleted.",
        "Compare the tenant in the address.",
    ),
    Code(
        "domain_not_proven", 409, "The DNS does not have the record",
        "The TXT record that proves the domain was not found. The answer's detail says what was found instead.",
        "Make the record as the domain shows it, wait until the name servers have it, and verify again.",
    ),
    Code(
        "own_client", 409, "This is the application that the token belongs to",
        "Who disables or deletes the application that they are using locks themselves out.",
        "Do it with a token that another application holds.",
    ),
    Code(
        "own_account", 409, "This is the account that the token belongs to",
        "Who disables or deletes the own account locks themselves out; who changes its address has to prove it, at the account page.",
        "Let another administrator do it, or use the account page.",
    ),
    Code(
        "signup_off", 409, "Nobody can sign up",
        "The tenant's setting signup is off: accounts are made by administrators.",
        "Create the user or send an invitation, or let the setting be changed.",
    ),
    Code(
        "client_without_secret", 409, "The client has no secret",
        "The client authenticates with keys or is public. There is no secret to replace.",
        "Change token_endpoint_auth_method first, or replace the client's keys.",
    ),
    Code(
        "answer_unreadable", 409, "The request was done before",
        "A request with this Idempotency-Key was done, and its answer cannot be opened any more: the installation's master key has "
        "changed since.",
        "Read what was made. Take a new Idempotency-Key for a new request.",
    ),
    Code(
        "last_administrator", 409, "This is the last administrator",
        "The change would leave the tenant without anybody who holds the role tenant-admin without an end and on no condition.",
        "Give somebody else the role tenant-admin first.",
    ),
    Code(
        "precondition_failed", 412, "Somebody changed it first",
        "The thing is not, or no longer, the one that If-Match names. Nothing was changed.",
        "Read it again, apply the change to what it is now, and send that with the new ETag.",
    ),
    Code(
        "body_too_large", 413, "The body is too large",
        "The body is larger than the service reads.",
        "Send less. The service's document says how much.",
    ),
    Code("uri_too_long", 414, "The address is too long", "Path and query together are longer than the server reads.", "Send less."),
    Code(
        "unsupported_media_type", 415, "The body is of another type",
        "The Content-Type is not one that this operation reads. The header Accept or Accept-Patch of the answer lists them.",
        "Send application/json, or application/merge-patch+json with PATCH.",
    ),
    Code(
        "invalid_fields", 422, "Some values cannot be accepted",
        "The request was read, and some of its values are wrong. Each of errors has a pointer into the body, or the name of a "
        "parameter, and what is wrong with it. Members that are not in the document are refused.",
        "Correct the values. Nothing was changed.",
    ),
    Code(
        "invalid_client_metadata", 422, "The client's metadata cannot be accepted",
        "A member of the metadata is wrong by itself, or does not go with the others, the client's profile or the tenant's settings.",
        "See the answer's errors and detail.",
    ),
    Code(
        "invalid_redirect_uri", 422, "A redirect URI cannot be accepted",
        "Redirect URIs are complete https addresses without a fragment or wildcard; apps may have a scheme of their own or a loopback "
        "address.",
        "See the answer's errors and detail.",
    ),
    Code(
        "idempotency_key_reused", 422, "The Idempotency-Key was used for something else",
        "A request with this key was done in the last 24 hours, and it was another one.",
        "Take a new key for each thing that is to be made; the same only to repeat a request whose answer was lost.",
    ),
    Code(
        "too_many_requests", 429, "Too many requests",
        "The caller, or its network, sent more than the service takes in a minute.",
        "Wait as long as Retry-After says. The RateLimit headers tell how much is left.",
    ),
    Code("headers_too_large", 431, "The headers are too large", "The header fields together exceed 32 KiB.", "Send less."),
    Code(
        "internal_error", 500, "Something went wrong on our side",
        "This is a defect of the server. Whether something was changed is not certain.",
        "Tell the operators the request_id. A create may be repeated safely with the same Idempotency-Key.",
    ),
    Code(
        "temporarily_unavailable", 503, "The service cannot answer at the moment",
        "The service is busy, or its database cannot be reached. Nothing was changed.",
        "Send the same request again after Retry-After.",
    ),
)  # fmt: skip
CODES = {each.code: each for each in _TABLE}


def doc_url(public_url: str, code: str) -> str:
    """Return the address of a code's page."""
    return f"{public_url}/docs/errors/{code}"

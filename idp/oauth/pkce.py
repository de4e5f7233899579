"""Proof Key for Code Exchange (RFC 7636): S256 only, demanded at the authorization endpoint as the client's profile says."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from idp.errors import refused

if TYPE_CHECKING:
    from idp.oauth.request import TenantRequest
    from idp.oauth.server import TenantServer

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # the base64url of a SHA-256
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_challenge(_server: TenantServer, request: TenantRequest) -> None:
    """Check ``code_challenge`` and its method at the authorization endpoint (RFC 7636 §4.3, §4.4.1)."""
    data, client = request.payload.data, request.client
    challenge, method = data.get("code_challenge"), data.get("code_challenge_method")
    if "code" not in request.validated["response_type"].split():
        return  # there is no code to prove the possession of
    if challenge is None and method is None:
        if not client.is_public and not client.profile.requires_pkce_of_confidential_clients:
            return
        raise _bad_challenge(
            "code_challenge required",
            "the request has no code_challenge",
            "Use PKCE: send code_challenge and code_challenge_method=S256.",
        )
    if method != "S256":
        # RFC 7636 §4.3 makes `plain` the default; RFC 9700 §2.1.1 asks for a method that does not expose the verifier.
        raise _bad_challenge(
            "transform algorithm not supported",
            "code_challenge_method is not S256",
            "Send code_challenge_method=S256.",
            received=method or "none, which means plain",
        )
    if challenge is None or not _CHALLENGE.fullmatch(challenge):
        raise _bad_challenge(
            "code_challenge is not valid",
            "code_challenge is not the 43 characters of a base64url SHA-256",
            "Send BASE64URL(SHA256(code_verifier)) without padding.",
        )


class S256CodeChallenge(CodeChallenge):
    """Authlib's extension for the token endpoint, for S256 alone and with ``invalid_grant`` for each failure."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's attribute

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Do nothing: the checks table has done it, in its order."""

    def validate_code_verifier(self, grant: Any, result: Any) -> None:  # noqa: ARG002 - Authlib's signature
        """Check ``code_verifier`` (RFC 7636 §4.6; RFC 9700 §4.8.2 for the downgrade)."""
        request: TenantRequest = grant.request
        verifier = request.payload.data.get("code_verifier")
        challenge: str | None = request.authorization_code.code_challenge
        if challenge is None and verifier is None:
            return
        if challenge is None:
            # RFC 9700 §4.8.2: a verifier without a challenge is a downgrade.
            raise _bad_verifier(
                "the request had no code_challenge but the token request has a code_verifier",
                "Send code_challenge with the authorization request.",
            )
        if verifier is None:
            raise _bad_verifier(
                "code_verifier is missing", "Send the code_verifier that belongs to the code_challenge."
            )
        if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(
            create_s256_code_challenge(verifier).encode(), challenge.encode()
        ):
            raise _bad_verifier(
                "the code_verifier does not belong to the code_challenge",
                "Keep the code_verifier of this very request until the code arrives.",
            )


def _bad_challenge(text: str, reason: str, fix: str, received: str | None = None) -> InvalidRequestError:
    return refused(
        InvalidRequestError(f"PKCE: {text}."),
        check="pkce",
        spec="RFC 7636 §4.4.1",
        reason=reason,
        fix=fix,
        received=received,
    )


def _bad_verifier(reason: str, fix: str) -> InvalidGrantError:
    return refused(
        InvalidGrantError("The code or its verifier is not valid."),
        check="pkce",
        spec="RFC 7636 §4.6",
        reason=reason,
        fix=fix,
    )

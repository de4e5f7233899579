"""What went wrong, as a person is told it: a calm title, the error as the protocol named it, where to read more.

Owns the sentences and how an error of Authlib, of joserfc or of the network becomes one of them. The id that the identity
provider gave its refusal is what `idp explain` needs; it is found in the answer. Must not know pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests
from authlib.common.errors import AuthlibBaseError
from joserfc.errors import JoseError

from idp.demo.exchanges import in_words

_REFERENCE = re.compile(
    r"\b[0-9A-HJKMNP-TV-Z]{16}\b", re.ASCII
)  # Crockford's base32, as the identity provider makes them
_IN_TEXT = re.compile(r"\s*\(correlation id [0-9A-Z]{16}\)", re.ASCII)
_LONGEST = 500

# Error code → title, explanation.
_TITLES = {
    "access_denied": (
        "You did not allow it",
        "The identity provider says that access was declined, so there are no tokens.",
    ),
    "login_required": (
        "Nobody is signed in there",
        "Nothing could be asked with prompt=none, and the identity provider would have had to ask who you are.",
    ),
    "consent_required": (
        "Your consent is needed",
        "Nothing could be asked with prompt=none, and the identity provider would have had to ask for your consent.",
    ),
    "interaction_required": (
        "You are needed for this",
        "Nothing could be asked with prompt=none, and the identity provider would have had to ask you something.",
    ),
    "invalid_client": (
        "The application was not recognised",
        "The identity provider does not accept this application’s id or secret.",
    ),
    "invalid_grant": (
        "The code or token is not good any more",
        "It was used, replaced, revoked, or its time is over. A new sign-in gives new tokens.",
    ),
    "invalid_token": (
        "The access token is not good any more",
        "It expired or was revoked. Refresh it, or sign in again.",
    ),
    "invalid_scope": (
        "The application asks for too much",
        "The identity provider does not let it have one of the scopes.",
    ),
    "temporarily_unavailable": ("The identity provider is busy", "Nothing is lost. Try again in a moment."),
    "too_many_requests": ("Too many requests", "The identity provider asks for a pause. Try again in a minute."),
    "server_error": ("Something went wrong over there", "The identity provider could not complete the request."),
}
_OTHER = ("The identity provider refused", "It gave the reason below.")


@dataclass(eq=False)
class Problem(Exception):
    """Something that a person has to be told instead of tokens."""

    title: str
    explanation: str
    code: str | None = None
    description: str | None = None
    reference: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    advice: tuple[str, ...] = ()
    status: int = 400


def refused(code: object, description: object, reference: str | None = None) -> Problem:
    """Return the problem behind an OAuth error; neither part can be trusted to be a text."""
    error, text = str(code)[:_LONGEST], str(description or "")
    title, explanation = _TITLES.get(error, _OTHER)
    found = _REFERENCE.search(text)
    shown = _IN_TEXT.sub("", text)[:_LONGEST] or None
    return Problem(title, explanation, error, shown, found.group() if found else reference)


def wrong_state() -> Problem:
    """RFC 6749 §10.12: the answer was not asked for by this browser."""
    return Problem(
        "This answer belongs to no sign-in of this browser",
        "The parameter state does not match. That protects you: a sign-in that somebody else began is not finished here. "
        "It also happens after the back button, or when the demo was started anew in between.",
        "state_mismatch",
        advice=("Sign in again; it begins anew.",),
    )


def wrong_issuer(expected: str, received: str | None) -> Problem:
    """RFC 9207 §2.4: somebody else answered than was asked."""
    return Problem(
        "Somebody else answered",
        "The parameter iss does not name the identity provider that was asked. The answer was thrown away, for it could be an attack (mix-up).",
        "issuer_mismatch",
        facts=(("Asked", expected), ("Answered", (received or "")[:_LONGEST] or "nobody: iss is missing")),
        advice=("Check the issuer with which the demo was started.",),
    )


def wrong_metadata(expected: str, received: object) -> Problem:
    """OpenID Connect Discovery §4.3: the document names another issuer than it was asked from."""
    return Problem(
        "The discovery document names another issuer",
        "It has to name exactly the address that the application was given, otherwise nothing in it can be trusted.",
        "issuer_mismatch",
        facts=(("Configured", expected), ("In the document", str(received)[:_LONGEST])),
        advice=("Start the demo with the issuer that the document names: idp demo-rp --issuer …",),
        status=502,
    )


def from_error(error: Exception, issuer: str, reference: str | None) -> Problem:
    """Return the problem that an exception stands for; ``reference`` is the id of the last answer."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _from_answer(error.response, reference)
    if isinstance(error, requests.RequestException) and not isinstance(error, ValueError):
        return Problem(
            "The identity provider does not answer",
            f"The application could not reach it: {in_words(error)}.",
            "no_answer",
            facts=(("Issuer", issuer),),
            advice=(
                "See whether it runs, for instance with make run, and try again.",
                "idp doctor looks at its configuration.",
            ),
            status=503,
        )
    if isinstance(error, JoseError):
        return _invalid_id_token(error)
    if isinstance(error, AuthlibBaseError):
        return refused(error.error or "unexpected_answer", error.description, reference)
    return Problem(
        "The answer could not be understood",
        "The identity provider sent something that is not what the specification says.",
        "unexpected_answer",
        reference=reference,
        status=502,
    )


def _from_answer(answer: requests.Response, reference: str | None) -> Problem:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        return refused(document["error"], document.get("error_description"), reference)
    return Problem(
        "The identity provider answered with an error",
        "The request itself was refused; the issuer’s address or its tenant may be wrong."
        if answer.status_code == 404
        else "The request was not completed.",
        f"HTTP {answer.status_code}",
        reference=reference,
        advice=("Check the issuer with which the demo was started.",),
        status=502,
    )


def _invalid_id_token(error: JoseError) -> Problem:
    return Problem(
        "The ID token was not accepted",
        "Its signature or one of its claims is not what it has to be, so nobody is signed in.",
        str(error.error or "invalid_id_token")[:_LONGEST],
        str(error.description or "")[:_LONGEST] or None,
        status=502,
    )

"""The words of the demo: what each request is for, and what a parameter, a claim or a member of a header means.

Half a sentence each, for somebody who sees OpenID Connect for the first time. Holds no logic.
"""

from __future__ import annotations

from typing import NamedTuple


class Purpose(NamedTuple):
    """What a request of the flow is for."""

    title: str
    meaning: str
    spec: str


PURPOSES = {
    "discovery": Purpose(
        "Discovery",
        "The application asks where everything is: endpoints, keys, what is supported.",
        "OpenID Connect Discovery §4",
    ),
    "authorization": Purpose(
        "Authorization request",
        "The application sends the browser to the identity provider with its wishes.",
        "OpenID Connect Core §3.1.2.1",
    ),
    "callback": Purpose(
        "Callback",
        "The browser comes back with the answer; a code in it is worth nothing without the PKCE verifier.",
        "RFC 6749 §4.1.2, RFC 9207",
    ),
    "code": Purpose(
        "Token request",
        "The application exchanges the code for tokens, directly and with its own credentials.",
        "OpenID Connect Core §3.1.3",
    ),
    "jwks": Purpose(
        "Signing keys", "The application fetches the public keys to check the signature of the ID token.", "RFC 7517 §5"
    ),
    "userinfo": Purpose(
        "Userinfo",
        "The application shows the access token and gets the claims that its scopes release.",
        "OpenID Connect Core §5.3",
    ),
    "refresh": Purpose(
        "Refresh",
        "The application trades the refresh token for new tokens, without the person.",
        "RFC 6749 §6, RFC 9700 §4.14",
    ),
    "introspection": Purpose("Introspection", "The application asks whether a token is still good.", "RFC 7662"),
    "revocation": Purpose("Revocation", "The application says that it does not need a token any more.", "RFC 7009"),
    "logout": Purpose(
        "Logout request",
        "The application sends the browser to the identity provider to end the session there.",
        "OpenID Connect RP-Initiated Logout §2",
    ),
    "signed_out": Purpose(
        "Return after logout",
        "The browser comes back; the session at the identity provider has ended.",
        "OpenID Connect RP-Initiated Logout §3",
    ),
    "other": Purpose("Request", "A request to the identity provider.", ""),
}

PARAMETERS = {
    "response_type": "what is to come back: a code",
    "response_mode": "how the answer is brought back",
    "client_id": "which application asks",
    "client_secret": "the application’s own password",
    "redirect_uri": "where the answer goes; it has to be registered, character for character",
    "scope": "what the application would like to have",
    "state": "a random value that ties the answer to this browser",
    "nonce": "a random value that has to come back inside the ID token",
    "code_challenge": "the SHA-256 of a secret that only the application knows (PKCE)",
    "code_challenge_method": "how the challenge was computed",
    "code_verifier": "the secret behind the challenge: proof that the same application asked",
    "prompt": "login: ask again even with a session; none: ask nothing at all",
    "id_token_hint": "whom the request is about",
    "login_hint": "whom the request is probably about",
    "code": "to be exchanged once, within a minute",
    "iss": "who answered; the application compares it with whom it asked",
    "error": "why there is no code",
    "error_description": "the same for the developer",
    "grant_type": "what is exchanged for tokens",
    "refresh_token": "the long-lived token; it is replaced each time it is used",
    "access_token": "the token for APIs",
    "id_token": "the token about the person",
    "token": "the token in question",
    "token_type_hint": "which kind it is, so that it is found sooner",
    "post_logout_redirect_uri": "where to go after that; it has to be registered too",
}

# RFC 7519 §4.1, RFC 9068 §2.2, OpenID Connect Core §2 and §5.1.
CLAIMS = {
    "iss": "who issued it",
    "sub": "whom it is about: stable, unlike a name or an e-mail address",
    "aud": "whom it is for; everybody else has to refuse it",
    "exp": "when it stops being valid",
    "iat": "when it was issued",
    "nbf": "when it starts being valid",
    "jti": "its own number, by which it can be revoked",
    "auth_time": "when the person last proved who they are",
    "nonce": "the random value of this sign-in, against replay",
    "acr": "how strong the sign-in was",
    "amr": "how the person signed in (pwd: with a password)",
    "azp": "which application it was issued to",
    "at_hash": "ties it to the access token that came with it",
    "c_hash": "ties it to the code that came with it",
    "sid": "which session at the identity provider it belongs to",
    "client_id": "which application it was issued to",
    "scope": "what it may be used for",
    "grant_id": "which consent it rests on; revoked together with it",
    "username": "the name the person signs in with",
    "active": "whether the token is good at this moment",
    "token_type": "how it is presented: whoever bears it may use it",
    "name": "full name, as it is shown",
    "given_name": "first name",
    "family_name": "last name",
    "middle_name": "middle name",
    "nickname": "what friends say",
    "preferred_username": "the name the person signs in with; it may change",
    "profile": "address of a page about the person",
    "picture": "address of a picture",
    "website": "address of the person’s own page",
    "gender": "gender, in the person’s own words",
    "birthdate": "date of birth",
    "zoneinfo": "time zone",
    "locale": "language and region",
    "updated_at": "when these claims last changed",
    "email": "e-mail address",
    "email_verified": "whether the address was proven to be theirs",
    "address": "postal address",
    "phone_number": "telephone number",
    "phone_number_verified": "whether the number was proven to be theirs",
    "roles": "roles of the person",
    "groups": "groups of the person",
    "cnf": "the key that has to be shown together with the token",
}
TIMES = frozenset({"exp", "iat", "nbf", "auth_time", "updated_at"})

# RFC 7515 §4.1.
HEADERS = {
    "alg": "how it is signed",
    "kid": "which of the issuer’s keys signed it",
    "typ": "what kind of token it is, so that one kind never passes for another",
    "cty": "what is inside",
    "jku": "where the keys are said to be",
}

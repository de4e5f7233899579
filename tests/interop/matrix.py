"""The matrix client × feature: its rows and columns, and the record that a test which passed leaves of its cell.

docs/interop.md is written from these records (`make interop`), and each test compares its own cell with the committed page: a
page that says more or less than the run showed fails where the difference is.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "interop.md"
RECORDS = (
    Path(os.environ["IDP_TEST_INTEROP_RECORDS"]).absolute() if os.environ.get("IDP_TEST_INTEROP_RECORDS") else None
)


@dataclass(frozen=True)
class Table:
    """One table of the page: what is said above it, its rows and its columns."""

    heading: tuple[str, ...]
    features: dict[str, tuple[str, str]]
    clients: dict[str, str]


FEATURES = {
    "discovery": ("Discovery", "OpenID Connect Discovery §4, RFC 8414 §3"),
    "code": ("Authorization code + PKCE (S256)", "RFC 6749 §4.1, RFC 7636"),
    "code_http": ("The same over plain HTTP on loopback", "RFC 8252 §8.3"),
    "id_token": ("ID token: signature, issuer, audience, nonce", "OIDC Core §3.1.3.7"),
    "rotation": ("Signing keys rotated between two sign-ins", "OIDC Core §10.1.1"),
    "iss": ("`iss` in the answer; another issuer's is refused", "RFC 9207 §2.4"),
    "userinfo": ("Userinfo", "OIDC Core §5.3"),
    "refresh": ("Refresh with rotation", "RFC 6749 §6"),
    "grace": ("A refresh token sent twice at once", "RFC 9700 §4.14.2"),
    "reuse": ("A refresh token used again later ends the family", "RFC 9700 §4.14.2"),
    "introspection": ("Introspection", "RFC 7662"),
    "revocation": ("Revocation", "RFC 7009"),
    "basic": ("client_secret_basic", "RFC 6749 §2.3.1"),
    "post": ("client_secret_post", "RFC 6749 §2.3.1"),
    "private_key_jwt": ("private_key_jwt, profile strict", "RFC 7523, OIDC Core §9"),
    "private_key_jwt_oidc": ("private_key_jwt, profile oidc", "RFC 7523, OIDC Core §9"),
    "public": ("Public client (none)", "RFC 8252, OAuth 2.1"),
    "client_credentials": ("Client credentials", "RFC 6749 §4.4"),
    "token_exchange": ("Token exchange", "RFC 8693"),
    "form_post": ("Response mode form_post", "OAuth 2.0 Form Post Response Mode"),
    "jwt_access_token": ("Access token checked by its signature at a resource", "RFC 9068 §4"),
    "denied": ("A person who does not consent", "RFC 6749 §4.1.2.1"),
    "logout": ("RP-initiated logout", "OIDC RP-Initiated Logout 1.0"),
}

CLIENTS = {
    "openid-client": "openid-client",
    "oauth4webapi": "oauth4webapi",
    "mod_auth_openidc": "mod_auth_openidc",
    "authlib": "Authlib",
}

# The same for clients that registered themselves, with the profile oidc.
REGISTERED_FEATURES = {
    "registration": ("Registers itself", "OIDC Registration §3, RFC 7591 §3"),
    "initial_access_token": ("The same with an initial access token", "RFC 7591 §3.1"),
    "registered_code": ("Sign-in: code with PKCE, userinfo", "OIDC Core §3.1"),
    "registered_private_key_jwt": ("private_key_jwt with a registered key", "OIDC Core §9"),
    "hybrid": ("`code id_token` in the fragment, `c_hash`", "OIDC Core §3.3"),
    "implicit": ("`id_token` in the fragment", "OIDC Core §3.2"),
    "claims": ("Claims parameter", "OIDC Core §5.5"),
    "request": ("Request object by value, signed", "OIDC Core §6.1, RFC 9101"),
    "request_uri": ("Request object by reference", "OIDC Core §6.2, RFC 9101 §5.2"),
    "signed_userinfo": ("Userinfo as a signed JWT", "OIDC Core §5.3.2"),
    "encrypted": ("Encrypted ID token", "OIDC Core §10.2"),
    "pairwise": ("Pairwise subject by `sector_identifier_uri`", "OIDC Core §8.1, OIDC Registration §5"),
    "silent": ("Silent sign-in (`prompt=none`)", "OIDC Core §3.1.2.1"),
    "session": ("Sign-out elsewhere: session monitoring", "OIDC Session Management 1.0"),
    "registered_logout": ("Sign-out at the provider, and back", "OIDC RP-Initiated Logout 1.0"),
    "frontchannel": ("Sign-out elsewhere: front-channel logout", "OIDC Front-Channel Logout 1.0"),
    "backchannel": ("Sign-out elsewhere: back-channel logout", "OIDC Back-Channel Logout 1.0"),
}
REGISTERED_CLIENTS = {
    "openid-client": "openid-client",
    "oidc-client-ts": "oidc-client-ts",
    "mod_auth_openidc": "mod_auth_openidc",
    "authlib": "Authlib",
    "pyoidc": "pyoidc",
}

TABLES = (
    Table((), FEATURES, CLIENTS),
    Table(
        (
            "## Registered by themselves",
            "",
            "Each of these was registered dynamically, at a tenant with `registration=open` and `registration_client_profile=oidc`.",
        ),
        REGISTERED_FEATURES,
        REGISTERED_CLIENTS,
    ),
)

_NO_REGISTRATION = "has no function for it; its users send the POST, as these tests do"
_NOT_IN_A_BROWSER = "runs on a server: it has no frame that could ask"
_NO_FRONT_CHANNEL = "has no function for it; an application serves the frame itself"
_NEED_A_KEY = ("registered_private_key_jwt", "request", "request_uri", "signed_userinfo", "encrypted")
_NO_FRAGMENT = "reads the code of a query or a form; the other response types it leaves to the application"

# What a client cannot do, and why; every other cell has a test.
CANNOT = {
    **{
        (client, feature): _NO_REGISTRATION
        for client in ("oidc-client-ts", "authlib")
        for feature in ("registration", "initial_access_token")
    },
    **{(client, "session"): _NOT_IN_A_BROWSER for client in ("openid-client", "authlib", "pyoidc")},
    **{(client, "frontchannel"): _NO_FRONT_CHANNEL for client in REGISTERED_CLIENTS if client != "mod_auth_openidc"},
    **{
        (client, "backchannel"): "has no function that checks a logout token"
        for client in ("openid-client", "oidc-client-ts", "authlib")
    },
    **{("authlib", feature): _NO_FRAGMENT for feature in ("hybrid", "implicit")},
    **{("authlib", feature): "has no function that makes a request object" for feature in ("request", "request_uri")},
    ("authlib", "signed_userinfo"): "reads userinfo as JSON",
    ("authlib", "encrypted"): "takes an ID token that is signed only",
    **{("oidc-client-ts", feature): "has the authorization code flow only" for feature in ("hybrid", "implicit")},
    **{("oidc-client-ts", feature): "signs and decrypts nothing: it runs in the open" for feature in _NEED_A_KEY},
    ("openid-client", "request_uri"): "sends a request object by value, or pushes the request",
    ("pyoidc", "initial_access_token"): "encodes an initial access token in base64, unless it is a JWT",
    ("mod_auth_openidc", "encrypted"): "decrypts RSA-OAEP and RSA1_5, which are not served",
    (
        "mod_auth_openidc",
        "request_uri",
    ): "makes an address for each request object, which cannot be registered; only registered ones are fetched",
    ("oauth4webapi", "logout"): "has no function for it; an application builds the address itself",
    ("openid-client", "jwt_access_token"): "is a client, not a resource; its authors' oauth4webapi does it",
    ("authlib", "iss"): "does not look at `iss`: what it has for RFC 9207 is for servers",
    ("authlib", "private_key_jwt"): "addresses its assertion to the token endpoint, so the client takes profile oidc",
    (
        "mod_auth_openidc",
        "private_key_jwt",
    ): "addresses its assertion to the token endpoint, so the client takes profile oidc",
    **{
        ("mod_auth_openidc", feature): "signs people in; it asks for no token of its own"
        for feature in ("client_credentials", "token_exchange")
    },
}

HINTS = (
    "openid-client and oauth4webapi report a wrong client credential as a challenge (`OAUTH_WWW_AUTHENTICATE_CHALLENGE`): every 401 carries `WWW-Authenticate` (RFC 9110 §15.5.2); the body says `invalid_client`.",
    "openid-client and oauth4webapi sign private_key_jwt for the issuer, as profile strict asks.",
    "mod_auth_openidc needs `OIDCPKCEMethod S256` for profile strict, and for private_key_jwt both `OIDCPrivateKeyFiles` and `OIDCPublicKeyFiles` (a certificate) before `OIDCProviderTokenEndpointAuth`; without the second its process crashes.",
    "mod_auth_openidc guards an API by introspection with the client that the tokens were issued to: a client learns of its own tokens only.",
    "Authlib's session takes the authentication method for revocation and introspection from `revocation_endpoint_auth_method`, not from `token_endpoint_auth_method`.",
    'mod_auth_openidc registers every response type, so its redirect URI may not be on localhost unless it adds `{"application_type": "native"}` by `registration_endpoint_json`, and must be https, because its `initiate_login_uri` and `jwks_uri` are made from it.',
    "mod_auth_openidc with `OIDCMetadataDir` takes an error that names its issuer (RFC 9207 §2) for a sign-in that somebody else begins, and shows another error than the one it was sent.",
    "openid-client authenticates by client_secret_post unless it is told otherwise, so it registers that method.",
    "pyoidc puts no code challenge into a request object: it stands beside it, as OpenID Connect Core §6.3.3 allows, and so not for profile strict.",
    "pyoidc cannot decrypt ECDH-ES without PartyUInfo, which is optional (RFC 7518 §4.6.1.2); register RSA-OAEP-256. It does not check the certificate of a key set on localhost.",
    "oidc-client-ts renews silently and watches the session by frames: both need a browser that sends cookies to frames of another site.",
    "A client that has cached the key set meets no unknown key at a scheduled rotation: the next key is published a day before it signs.",
)


def versions() -> dict[str, str]:
    """The versions of the clients that are locked."""
    packages = json.loads((HERE / "node" / "package-lock.json").read_text("utf-8"))["packages"]
    node = {
        name: str(packages[f"node_modules/{name}"]["version"])
        for name in ("openid-client", "oauth4webapi", "oidc-client-ts")
    }
    return {**node, "authlib": version("authlib"), "pyoidc": version("oic")}


def showed(client: str, feature: str, client_version: str = "") -> None:
    """Record a cell for `make interop`, or compare it with the committed page."""
    assert (client, feature) not in CANNOT
    if RECORDS is None:
        assert committed().get((client, feature)) == "yes", "docs/interop.md says otherwise; run: make interop"
        return
    RECORDS.mkdir(parents=True, exist_ok=True)
    record = RECORDS / f"{client}--{feature}.json"
    part = record.with_suffix(f".{os.getpid()}")
    part.write_text(
        json.dumps({"client": client, "feature": feature, "version": client_version or versions()[client]}), "utf-8"
    )
    part.replace(record)


def committed() -> dict[tuple[str, str], str]:
    """Read the cells of the committed page."""
    found = {}
    lines = PAGE.read_text("utf-8").splitlines()
    for table in TABLES:
        by_title = {title: name for name, (title, _) in table.features.items()}
        for line in lines:
            cells = cells_of(line)
            if cells[0] in by_title:
                found |= {
                    (client, by_title[cells[0]]): cell for client, cell in zip(table.clients, cells[2:], strict=True)
                }
    return found


def cells_of(line: str) -> list[str]:
    """Return the cells of a row; of any other line, one that is no title."""
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else [""]


def render(shown: set[tuple[str, str]], versions_: dict[str, str]) -> str:
    """Write the page: what was shown, what a client cannot do (numbered, with the reason), and what no test has shown."""
    reasons: list[str] = []
    lines = [
        "# Relying parties that nobody here wrote",
        "",
        "Generated by `make interop` from the tests that ran these clients, unpatched, against `idp serve` with two workers; do not edit.",
        "Code: `tests/interop/`. A test compares each cell with this page. TLS unless the row says otherwise.",
    ]
    for table in TABLES:
        lines += ["", *table.heading, *([""] if table.heading else [])]
        lines += [
            f"| | | {' | '.join(table.clients.values())} |",
            "|---|---|" + "---|" * len(table.clients),
            f"| version | | {' | '.join(versions_.get(client, '–') for client in table.clients)} |",
        ]
        for feature, (title, spec) in table.features.items():
            cells = []
            for client, name in table.clients.items():
                if (client, feature) in CANNOT:
                    reason = f"{name} {CANNOT[client, feature]}."
                    if reason not in reasons:
                        reasons.append(reason)
                    cells.append(f"no ({reasons.index(reason) + 1})")
                else:
                    cells.append("yes" if (client, feature) in shown else "not shown")
            lines.append(f"| {title} | {spec} | {' | '.join(cells)} |")
    lines += ["", "What a client cannot do:", "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]
    lines += ["", "What to know when connecting one:", "", *(f"- {hint}" for hint in HINTS), ""]
    return "\n".join(lines)

"""The metadata of a client as the document shows it: every member that may be registered, with its type and a sentence.

The rules are :mod:`idp.oauth.client_metadata`'s, which every way of registering shares; a test compares the two lists of members.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from idp.oauth.client_metadata import IN_LANGUAGES, LONGEST_REQUEST_URI, MAX_TEXT

ApplicationType = Literal["web", "native"]
GrantType = Literal["authorization_code", "implicit", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"
]  # fmt: skip
ResponseType = Literal[
    "code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"
]  # fmt: skip
AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
SigningAlg = Literal["RS256", "PS256", "ES256", "EdDSA"]
EncryptionAlg = Literal["RSA-OAEP-256", "ECDH-ES"]
EncryptionEnc = Literal["A128CBC-HS256", "A256GCM"]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Address = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, json_schema_extra={"format": "uri"})]
Addresses = Annotated[list[Address], Field(max_length=100)]
RequestAddress = Annotated[
    str, Field(min_length=1, max_length=LONGEST_REQUEST_URI, json_schema_extra={"format": "uri"})
]
TAGGED = re.compile(rf"({'|'.join(IN_LANGUAGES)})#[A-Za-z0-9]{{1,8}}(-[A-Za-z0-9]{{1,8}})*", re.ASCII)


class Jwks(BaseModel):
    """A JWK Set (RFC 7517 §5) with public keys only: RSA of 2048 to 8192 bits, EC or OKP."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=20)]


class ClientMetadata(BaseModel):
    """What RFC 7591 and OpenID Connect Registration say of a client; null is as good as left out."""

    client_name: Annotated[
        Text | None,
        Field(
            description="What people are shown. Further languages as `client_name#de`; so may the other texts for people be."
        ),
    ] = None
    redirect_uris: Annotated[
        Addresses | None,
        Field(
            description="Where people are sent back to, compared character by character. Needed with the grant types "
            "authorization_code and implicit."
        ),
    ] = None
    post_logout_redirect_uris: Annotated[
        Addresses | None, Field(description="Where people may be sent after a sign-out.")
    ] = None
    application_type: Annotated[
        ApplicationType | None,
        Field(description="`native` for apps, which may redirect to a loopback address. Default `web`."),
    ] = None
    grant_types: Annotated[
        list[GrantType] | None, Field(description="How it gets tokens. Default: what goes with response_types.")
    ] = None
    response_types: Annotated[
        list[ResponseType] | None,
        Field(
            description="What it asks the authorization endpoint for; others than `code` need the profile `oidc`. Default `code` "
            "with the grant type authorization_code."
        ),
    ] = None
    token_endpoint_auth_method: Annotated[
        AuthMethod | None,
        Field(description="How it authenticates; `none` for a public client. Default `client_secret_basic`."),
    ] = None
    token_endpoint_auth_signing_alg: Annotated[
        SigningAlg | None, Field(description="With private_key_jwt: the one algorithm that it signs with.")
    ] = None
    jwks: Annotated[Jwks | None, Field(description="Its public keys, by value. Not beside jwks_uri.")] = None
    jwks_uri: Annotated[Address | None, Field(description="Where its public keys are published, https.")] = None
    scope: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=10_000,
            description="What it may ask for, separated by spaces. Without it: the standard scopes of OpenID Connect.",
        ),
    ] = None
    client_uri: Annotated[Address | None, Field(description="Its website.")] = None
    logo_uri: Annotated[Address | None, Field(description="Its logo.")] = None
    policy_uri: Annotated[Address | None, Field(description="Its privacy policy.")] = None
    tos_uri: Annotated[Address | None, Field(description="Its terms of service.")] = None
    contacts: Annotated[list[Text] | None, Field(max_length=20, description="Who is responsible for it.")] = None
    initiate_login_uri: Annotated[
        Address | None, Field(description="Where a sign-in is started from outside (OpenID Connect Core §4), https.")
    ] = None
    subject_type: Annotated[
        Literal["public", "pairwise"] | None,
        Field(description="Whether it knows people by a subject of its own sector. Default `public`."),
    ] = None
    sector_identifier_uri: Annotated[Address | None, Field(description="The sector of a pairwise client, https.")] = (
        None
    )
    default_max_age: Annotated[
        int | None, Field(ge=0, le=10**9, description="Seconds after which people have to sign in anew.")
    ] = None
    require_auth_time: Annotated[bool | None, Field(description="Whether it always wants auth_time.")] = None
    default_acr_values: Annotated[
        list[Text] | None, Field(max_length=20, description="The acr it asks for by default.")
    ] = None
    id_token_signed_response_alg: Annotated[SigningAlg | None, Field(description="How its ID tokens are signed.")] = (
        None
    )
    id_token_encrypted_response_alg: Annotated[
        EncryptionAlg | None, Field(description="How they are encrypted: the key.")
    ] = None
    id_token_encrypted_response_enc: Annotated[EncryptionEnc | None, Field(description="The same: the content.")] = None
    userinfo_signed_response_alg: Annotated[
        SigningAlg | None, Field(description="How userinfo answers are signed.")
    ] = None
    userinfo_encrypted_response_alg: Annotated[
        EncryptionAlg | None, Field(description="How they are encrypted: the key.")
    ] = None
    userinfo_encrypted_response_enc: Annotated[EncryptionEnc | None, Field(description="The same: the content.")] = None
    introspection_signed_response_alg: Annotated[
        SigningAlg | None, Field(description="How introspection answers are signed (RFC 9701).")
    ] = None
    introspection_encrypted_response_alg: Annotated[
        EncryptionAlg | None, Field(description="How they are encrypted: the key.")
    ] = None
    introspection_encrypted_response_enc: Annotated[
        EncryptionEnc | None, Field(description="The same: the content.")
    ] = None
    request_uris: Annotated[
        list[RequestAddress] | None,
        Field(max_length=100, description="Where it publishes request objects, https; for the profile `oidc`."),
    ] = None
    request_object_signing_alg: Annotated[
        SigningAlg | None, Field(description="How its request objects are signed.")
    ] = None
    request_object_encryption_alg: Annotated[
        EncryptionAlg | None, Field(description="How its request objects are encrypted: the key.")
    ] = None
    request_object_encryption_enc: Annotated[EncryptionEnc | None, Field(description="The same: the content.")] = None
    require_signed_request_object: Annotated[
        bool | None, Field(description="Whether it sends signed requests only.")
    ] = None
    backchannel_logout_uri: Annotated[
        Address | None, Field(description="Where it is told of sign-outs, server to server.")
    ] = None
    backchannel_logout_session_required: Annotated[
        bool | None, Field(description="Whether it is told which session.")
    ] = None
    frontchannel_logout_uri: Annotated[
        Address | None,
        Field(description="What is loaded in the browser at a sign-out; of the origin of a redirect URI."),
    ] = None
    frontchannel_logout_session_required: Annotated[
        bool | None, Field(description="Whether it is told which session.")
    ] = None
    token_exchange_audiences: Annotated[
        list[Text] | None,
        Field(max_length=20, description="For whom it may exchange tokens (RFC 8693): addresses, or ids of clients."),
    ] = None
    software_id: Annotated[Text | None, Field(description="The software, whatever its version.")] = None
    software_version: Annotated[Text | None, Field(description="The version of the software.")] = None


def let_in_languages(schema: dict[str, Any], *, is_closed: bool) -> None:
    """Say in a model's schema that texts for people may stand there in further languages, and nothing else."""
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    schema["patternProperties"] = {f"^{TAGGED.pattern}$": nullable if is_closed else {"type": "string"}}
    if is_closed:
        schema["additionalProperties"] = False
    else:
        schema.pop("additionalProperties", None)

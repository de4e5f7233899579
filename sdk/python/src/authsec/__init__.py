"""AuthSec for Python: the services of an AuthSec server, access tokens at your own API, and webhooks.

client = AuthSecClient(base_url="http://localhost:8000")
client.login(email, password)
client.users.list()
"""

from __future__ import annotations

from authsec.access_tokens import AccessToken, AccessTokenValidator, AsyncAccessTokenValidator
from authsec.answers import etag_of, request_id_of, was_replayed
from authsec.async_client import AsyncAuthSecClient, AsyncTenantView
from authsec.client import AuthSecClient, TenantView
from authsec.errors import (
    ApiError,
    AuthenticationFailed,
    AuthSecError,
    Conflict,
    ConnectionFailed,
    InsufficientScope,
    InvalidFields,
    InvalidRequest,
    InvalidToken,
    InvalidWebhook,
    KeysUnavailable,
    MfaRequired,
    NotAuthenticated,
    NotFound,
    NotSignedIn,
    PermissionRequired,
    PreconditionFailed,
    ServerError,
    SessionEnded,
    SignInError,
    SignInRefused,
    StepRequired,
    TooManyRequests,
    UnexpectedAnswer,
    WebSignInRequired,
)
from authsec.retries import Retries
from authsec.version import __version__
from authsec.webhooks import WebhookVerifier

__all__ = [
    "AccessToken",
    "AccessTokenValidator",
    "ApiError",
    "AsyncAccessTokenValidator",
    "AsyncAuthSecClient",
    "AsyncTenantView",
    "AuthSecClient",
    "AuthSecError",
    "AuthenticationFailed",
    "Conflict",
    "ConnectionFailed",
    "InsufficientScope",
    "InvalidFields",
    "InvalidRequest",
    "InvalidToken",
    "InvalidWebhook",
    "KeysUnavailable",
    "MfaRequired",
    "NotAuthenticated",
    "NotFound",
    "NotSignedIn",
    "PermissionRequired",
    "PreconditionFailed",
    "Retries",
    "ServerError",
    "SessionEnded",
    "SignInError",
    "SignInRefused",
    "StepRequired",
    "TenantView",
    "TooManyRequests",
    "UnexpectedAnswer",
    "WebSignInRequired",
    "WebhookVerifier",
    "__version__",
    "etag_of",
    "request_id_of",
    "was_replayed",
]

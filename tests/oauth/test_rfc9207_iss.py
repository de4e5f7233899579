"""The parameter iss of authorization responses (RFC 9207): in each of them, success or error, however it travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cast import discovery
from house import CALLBACK
from refusals import posted_back, sent_back

if TYPE_CHECKING:
    from cast import Cast

VERIFIER = "v" * 43


def test_advertised(cast: Cast) -> None:
    """RFC 9207 §3: authorization_response_iss_parameter_supported."""
    assert discovery(cast.house, cast.acme)["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_s016_in_the_success_response(cast: Cast, tenant: str) -> None:
    """RFC 9207 §2, S016: the tenant's issuer, exactly."""
    client = cast.basic if tenant == "acme" else cast.foreign
    assert cast.grant(client).answer.params["iss"] == client.tenant.issuer
    browser = cast.browser(client.tenant)
    browser.sign_in(client)
    fields = browser.authorize(client, verifier=VERIFIER, response_mode="form_post").form[1]
    assert set(fields) == {"code", "state", "iss", "session_state"}
    assert fields["iss"] == client.tenant.issuer


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": '"'}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "x"}, "invalid_request"),
        ({"code_challenge": "x"}, "invalid_request"),
        ({"request": "x"}, "invalid_request_object"),
        ({"request_uri": "x"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"id_token_hint": "x"}, "invalid_request"),
    ],
)
def test_s016_in_each_error_response(cast: Cast, change: dict[str, str], error: str) -> None:
    """RFC 9207 §2, S016: errors carry it too, in the query and by form_post."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, **change)
    sent_back(cast.house, answer, cast.acme, error, to=CALLBACK)
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, response_mode="form_post", **change)
    posted_back(cast.house, answer, cast.acme, error, to=CALLBACK)


def test_a_clients_iss_is_not_taken(cast: Cast) -> None:
    """RFC 9207 §2.4: what the request says as iss changes nothing."""
    assert cast.grant(cast.basic, iss="https://evil.example").answer.params["iss"] == cast.acme.issuer


def test_a_redirect_uri_cannot_bring_its_own(cast: Cast) -> None:
    """RFC 9207 §2: a registered query is kept, ours stands last, so that the code is never followed by another issuer."""
    client = cast.house.client(cast.acme, "query", redirect_uris=[f"{CALLBACK}?from=us"])
    answer = cast.grant(client, redirect_uri=f"{CALLBACK}?from=us").answer
    assert answer.location.startswith(f"{CALLBACK}?from=us&code=")
    assert answer.params["iss"] == cast.acme.issuer

"""The table of features: every specification this product serves, one row each. Discovery is the union of what they say.

Also the flow's tables: the steps a person may have to take, in order, and the protocols that end in them.
"""

from __future__ import annotations

from idp.account.protocol import AccountProtocol
from idp.account.routes import ACCOUNT
from idp.feature import Endpoint, Feature
from idp.flow import own_sign_in, routes
from idp.oauth import (
    access_evaluation,
    authorization_challenge,
    authorize,
    introspection,
    registration,
    request_object,
    revocation,
    token,
    token_exchange,
)
from idp.oidc import (
    authentication_request,
    backchannel_logout,
    claims_parameter,
    discovery,
    frontchannel_logout,
    logout,
    session_management,
    third_party_login,
    userinfo,
)


def _pages() -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint("page", path, (method,), handle, is_hot=True, audience="person")
        for method, path, handle in routes.PAGES
    )


FEATURES: tuple[Feature, ...] = (
    discovery.DISCOVERY,
    authorize.AUTHORIZE,
    authorization_challenge.AUTHORIZATION_CHALLENGE,
    request_object.REQUEST_OBJECT,
    authentication_request.AUTHENTICATION_REQUEST,
    claims_parameter.CLAIMS_PARAMETER,
    token.TOKEN,
    token.AUTHORIZATION_CODE,
    token.REFRESH_TOKEN,
    token.CLIENT_CREDENTIALS,
    token.PKCE,
    token_exchange.TOKEN_EXCHANGE_FEATURE,
    userinfo.USERINFO,
    introspection.INTROSPECTION,
    revocation.REVOCATION,
    registration.REGISTRATION,
    access_evaluation.ACCESS_EVALUATION,
    logout.LOGOUT,
    backchannel_logout.BACKCHANNEL_LOGOUT,
    frontchannel_logout.FRONTCHANNEL_LOGOUT,
    session_management.SESSION_MANAGEMENT,
    third_party_login.THIRD_PARTY_LOGIN,
    ACCOUNT,
    Feature(name="pages", spec="the product's pages", endpoints=_pages()),
)

STEPS = routes.STEPS

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        authorize.OAuthProtocol(),
        authorization_challenge.ChallengeProtocol(),
        own_sign_in.OWN_SIGN_IN,
        AccountProtocol(),
    )
}

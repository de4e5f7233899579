"""Claims by name, in languages, and the consent to them (OpenID Connect Core §5.2, §5.4, §5.5)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cast import discovery, without
from house import CALLBACK, PASSWORD, decoded
from refusals import sent_back, text_of

from idp.errors import Invalid
from idp.flow.session import ACR_PASSWORD
from idp.identity.claims import claims_for
from idp.identity.standard_claims import check

if TYPE_CHECKING:
    from cast import Cast
    from house import Answer, Browser, House, RelyingParty

    from idp.tenancy.tenant import Tenant

VERIFIER = "v" * 43


def asked(**members: Any) -> str:
    """The claims parameter."""
    return json.dumps(members)


def tokens(cast: Cast, rp: RelyingParty, username: str = "ada@example.com", **params: str | None) -> dict[str, Any]:
    """Sign in and redeem."""
    grant = cast.browser(rp.tenant).sign_in(rp, username=username, **params)
    answer = rp.redeem(grant)
    assert answer.status == 200, answer.text
    return answer.json  # type: ignore[no-any-return]


def test_advertised(cast: Cast) -> None:
    """OpenID Connect Discovery §3: claims_parameter_supported."""
    assert discovery(cast.house, cast.acme)["claims_parameter_supported"] is True


def test_absent_when_disabled(house: House, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect Discovery §3: without its row it is not advertised."""
    without(monkeypatch, house, "claims_parameter")
    assert "claims_parameter_supported" not in discovery(house, acme)


def test_at_userinfo(any_cast: Cast) -> None:
    """Core §5.5: a claim asked for at userinfo comes from there, beyond the scopes, and not in the ID token."""
    claims = asked(userinfo={"email": {"essential": True}, "given_name": None, "nickname": None})
    got = tokens(any_cast, any_cast.basic, scope="openid", claims=claims)
    info = any_cast.basic.userinfo(got["access_token"]).json
    assert info["email"] == "ada@example.com"
    assert info["given_name"] == "Ada"
    assert "name" not in info
    assert "nickname" not in info  # she has none
    assert "email" not in decoded(got["id_token"])[1]


def test_in_the_id_token_and_after_a_refresh(any_cast: Cast) -> None:
    """Core §5.5, §12.2: a claim asked for in the ID token is there, and in that of a refresh."""
    got = tokens(any_cast, any_cast.basic, scope="openid", claims=asked(id_token={"email": None, "auth_time": None}))
    assert decoded(got["id_token"])[1]["email"] == "ada@example.com"
    again = any_cast.basic.refresh(got["refresh_token"]).json
    assert decoded(again["id_token"])[1]["email"] == "ada@example.com"
    assert "email" not in any_cast.basic.userinfo(again["access_token"]).json


def test_what_is_the_tokens_own_stays_so(cast: Cast) -> None:
    """Core §5.5.1, S102: no request changes iss, aud, exp or another claim of the protocol."""
    wishes = {name: {"value": "evil"} for name in ("iss", "aud", "exp", "azp", "nonce", "at_hash", "amr", "sid")}
    claims = decoded(tokens(cast, cast.basic, claims=asked(id_token=wishes, userinfo=wishes))["id_token"])[1]
    assert claims["iss"] == cast.acme.issuer
    assert claims["aud"] == claims["azp"] == "basic"
    assert claims["amr"] == ["pwd"]


@pytest.mark.parametrize(
    "sent",
    [
        "not json",
        "[]",
        "null",
        '"x"',
        "{",
        '{"userinfo": []}',
        '{"userinfo": "email"}',
        '{"id_token": {"email": "yes"}}',
        '{"id_token": {"email": {"essential": "true"}}}',
        '{"id_token": {"acr": {"values": "x"}}}',
        '{"userinfo": {"email": null, "email": null}}',
        '{"userinfo": {"email": NaN}}',
        '{"userinfo": {"email": 1e999}}',
        '{"userinfo": {"email": [1]}}',
        '{"userinfo": ' + "[" * 5000 + "]" * 5000 + "}",
        json.dumps({"userinfo": {f"c{n}": None for n in range(101)}}),
        '{"userinfo": {"\\ud800": null}}',
    ],
)
def test_what_cannot_be_read(cast: Cast, sent: str) -> None:
    """Core §5.5, §3.1.2.6: a claims parameter that is no such JSON is invalid_request."""
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, claims=sent)
    sent_back(cast.house, answer, cast.acme, "invalid_request", to=CALLBACK)


@pytest.mark.parametrize(
    "sent",
    [
        "{}",
        '{"userinfo": null, "id_token": null}',
        '{"userinfo": {}}',
        '{"nobody": {"knows": null}}',
        '{"userinfo": {"nobody_knows": {"essential": true}, "http://example.info/claims/groups": null}}',
        '{"userinfo": {"email#": null, "email#not a tag": null}}',
        '{"id_token": {"acr": {"values": ["urn:nobody:has:this"]}}}',
        '{"id_token": {"acr": {"essential": true}}}',
        json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:x", ACR_PASSWORD]}}}),
    ],
)
def test_what_is_not_understood_is_ignored(cast: Cast, sent: str) -> None:
    """Core §5.5, §5.5.1: members and claims that are not understood are ignored; a voluntary acr is a preference (S008)."""
    claims = decoded(tokens(cast, cast.basic, claims=sent)["id_token"])[1]
    assert claims["acr"] == ACR_PASSWORD


def test_an_essential_acr_that_cannot_be_had(cast: Cast) -> None:
    """Core §5.5.1.1, S008: a failed authentication, told to the client; without a page when none is allowed."""
    wish = asked(id_token={"acr": {"essential": True, "values": ["urn:hardware"]}})
    answer = cast.browser().authorize(cast.basic, verifier=VERIFIER, claims=wish)
    sent_back(cast.house, answer, cast.acme, "unmet_authentication_requirements", to=CALLBACK)
    browser = cast.browser()
    browser.sign_in(cast.basic)
    answer = browser.authorize(cast.basic, verifier=VERIFIER, claims=wish, prompt="none")
    sent_back(cast.house, answer, cast.acme, "interaction_required", to=CALLBACK)


def test_acr_values_is_voluntary(cast: Cast) -> None:
    """Core §3.1.2.1, S008: acr_values that cannot be met are no error; acr says what was done."""
    assert decoded(tokens(cast, cast.basic, acr_values="urn:hardware 9")["id_token"])[1]["acr"] == ACR_PASSWORD


def test_a_subject_by_name(cast: Cast) -> None:
    """Core §5.5.1, §3.1.2.1: a value of sub asks for that person; with another session prompt=none is login_required."""
    house, rp = cast.house, cast.basic
    house.user(cast.acme, "bob@example.com", claims={"name": "Bob"})
    bob = house.user_id(cast.acme, "bob@example.com")
    browser = cast.browser()
    browser.sign_in(rp)
    for sub in (bob, "nobody", "x" * 300):
        wish = asked(id_token={"sub": {"value": sub}})
        answer = browser.authorize(rp, verifier=VERIFIER, claims=wish, prompt="none")
        sent_back(house, answer, cast.acme, "login_required", to=CALLBACK)
    wish = asked(id_token={"sub": {"value": bob}})
    grant = cast.browser().sign_in(rp, username="bob@example.com", claims=wish)
    assert decoded(rp.redeem(grant).json["id_token"])[1]["sub"] == bob
    hint = rp.redeem(browser.sign_in(rp)).json["id_token"]
    answer = browser.authorize(rp, verifier=VERIFIER, claims=wish, id_token_hint=hint)
    sent_back(house, answer, cast.acme, "invalid_request", to=CALLBACK)


def test_a_client_gets_no_more_than_its_scopes(house: House, acme: Tenant) -> None:
    """RFC 7591 §2 (scope), S032: a claim whose scope the client may not ask for is not released by its name either."""
    rp = house.client(acme, scope="openid profile")
    grant = house.browser(acme).sign_in(rp, scope="openid", claims=asked(userinfo={"email": None, "name": None}))
    info = rp.userinfo(rp.redeem(grant).json["access_token"]).json
    assert "email" not in info
    assert info["name"] == "Ada Lovelace"


# -- consent ----------------------------------------------------------------------------------------------------------


def _to_consent(browser: Browser, rp: RelyingParty, **params: str | None) -> Answer:
    page = browser.follow(browser.authorize(rp, verifier=VERIFIER, **params))
    return browser.follow(browser.submit(page, username="ada@example.com", password=PASSWORD))


def test_a_claim_is_consented_to_by_name(house: House, acme: Tenant, rp: RelyingParty) -> None:
    """Core §3.1.2.4, §5.5: the page names what is asked for beyond the scopes; what was allowed is not asked for again."""
    browser, wish = house.browser(acme), asked(userinfo={"birthdate": None, "phone_number": None, "email": None})
    page = _to_consent(browser, rp, scope="openid email", claims=wish)
    assert "See your date of birth and telephone number" in text_of(page)
    assert browser.follow(browser.submit(page, action="approve")).params["code"]
    assert browser.authorize(rp, verifier=VERIFIER, scope="openid email", claims=wish).params["code"]
    more = asked(userinfo={"gender": None})
    answer = browser.authorize(rp, verifier=VERIFIER, scope="openid email", claims=more, prompt="none")
    sent_back(house, answer, acme, "consent_required", to=CALLBACK)
    # Who allowed the scope email has allowed its claims.
    again = asked(userinfo={"email": None})
    assert browser.authorize(rp, verifier=VERIFIER, scope="openid", claims=again, prompt="none").params["code"]
    # The scope that releases a claim is asked for as before: consent to one claim is no consent to all of them.
    answer = browser.authorize(rp, verifier=VERIFIER, scope="openid profile", prompt="none")
    sent_back(house, answer, acme, "consent_required", to=CALLBACK)


# -- languages --------------------------------------------------------------------------------------------------------

KANA = {
    "name": "Hanako Yamada",
    "family_name": "Yamada",
    "family_name#ja-Kana-JP": "ヤマダ",
    "family_name#ja-Hani-JP": "山田",
    "name#de": "Hanako Yamada (Frau)",
    "website#de": "https://hanako.example/de",
    "website": "https://hanako.example/",
}


@pytest.fixture(scope="module")
def hanako(cast: Cast) -> Cast:
    """A person with names in several languages and scripts."""
    cast.house.user(cast.acme, "hanako@example.com", claims=KANA)
    return cast


def info_of(cast: Cast, **params: str | None) -> dict[str, Any]:
    """What userinfo says of her."""
    got = tokens(cast, cast.basic, "hanako@example.com", **params)
    return cast.basic.userinfo(got["access_token"]).json  # type: ignore[no-any-return]


def test_no_language_asked(hanako: Cast) -> None:
    """Core §5.2: without a wish the claims have no tags."""
    info = info_of(hanako, scope="openid profile")
    assert info["family_name"] == "Yamada"
    assert not any("#" in name for name in info)


def test_one_language_needs_no_tag(hanako: Cast) -> None:
    """Core §5.2: where one language is wanted, values in it are returned without tags; others as they are."""
    info = info_of(hanako, scope="openid profile", claims_locales="de-AT")
    assert info["name"] == "Hanako Yamada (Frau)"
    assert info["website"] == "https://hanako.example/de"
    assert info["family_name"] == "Yamada"
    assert not any("#" in name for name in info)


def test_several_languages_have_tags(hanako: Cast) -> None:
    """Core §5.2: with several languages each value that there is carries its tag."""
    info = info_of(hanako, scope="openid profile", claims_locales="ja-Kana-JP ja-Hani-JP fr")
    assert info["family_name"] == "Yamada"
    assert info["family_name#ja-Kana-JP"] == "ヤマダ"
    assert info["family_name#ja-Hani-JP"] == "山田"


def test_a_tagged_claim_by_name(hanako: Cast) -> None:
    """Core §5.2, §5.5.2: a claim asked for with a tag comes with it, and the untagged one is not implied."""
    wish = asked(userinfo={"family_name#ja-Kana-JP": {"essential": True}, "name#fr": None}, id_token={"name#de": None})
    got = tokens(hanako, hanako.basic, "hanako@example.com", scope="openid", claims=wish)
    info = hanako.basic.userinfo(got["access_token"]).json
    assert info == {"sub": info["sub"], "family_name#ja-Kana-JP": "ヤマダ"}
    assert decoded(got["id_token"])[1]["name#de"] == "Hanako Yamada (Frau)"


@pytest.mark.parametrize("locales", ["x" * 400, "de " * 1000, "<script>", "--", "de-" + "x" * 9, "\u202e"])
def test_hostile_languages(hanako: Cast, locales: str) -> None:
    """Core §3.1.2.1: claims_locales that cannot be followed are no error."""
    assert info_of(hanako, scope="openid profile", claims_locales=locales)["sub"]


@pytest.mark.parametrize(
    "name", ["name#", "name#de_DE", "name#" + "x" * 9, "email_verified#de", "address#de", "sub#de"]
)
def test_tags_that_cannot_be_stored(name: str) -> None:
    """Core §5.2: the tag is a language tag, and only texts and pages have languages."""
    with pytest.raises(Invalid):
        check({name: "x"})


def test_lookup_of_languages() -> None:
    """RFC 4647 §3.4: the nearest tag is found by taking parts off the end of what is wanted; case does not matter."""
    claims = {"name": "A", "name#DE-AT": "B", "name#de": "C"}
    user = SimpleNamespace(username="a", email="a", email_verified=False, claims=claims, updated_at=1)
    scopes = frozenset({"profile"})
    assert claims_for(user, scopes, (), ["de-at"])["name"] == "B"
    assert claims_for(user, scopes, (), ["de-CH-1996"])["name"] == "C"
    assert claims_for(user, scopes, (), ["d"])["name"] == "A"

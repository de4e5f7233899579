"""Domains: claimed by anybody, proven by who can make the record, and one tenant's then; against a real name server."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from api_world import NAMES, PUBLIC
from serving import scalar, together

from idp import clock
from idp.identity import domains as identity_domains
from idp.store.control import domain_claims
from idp.store.control import domains as domains_table
from idp.web.ratelimit import Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api_world import World
    from house import Answer

HOST = "login.acme.example"
CHALLENGE = f"_authsec-challenge.{HOST}"
RACERS = 6


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    """A name server without records."""
    NAMES.clear()
    yield
    NAMES.clear()


@pytest.fixture
def any_world(each_database: World) -> Iterator[World]:
    """A world on each kind of database; domains are gone afterwards, and nobody has asked too often."""
    yield each_database
    control = each_database.house.installation.store.control
    control.writing(lambda conn: conn.execute(domains_table.domains.delete()))
    control.writing(lambda conn: conn.execute(domain_claims.domain_claims.delete()))
    each_database.tidy()
    limiter = each_database.house.installation.limiter
    vars(limiter).update(vars(Limiter(each_database.house.settings)))


def domains(world: World, method: str, rest: str = "", body: Any = None, slug: str = "acme", **more: Any) -> Answer:
    if "token" not in more:
        more["token"] = world.token(slug)
    return world.uflow(method, f"/domains{rest}", body, slug=slug, **more)


def claimed(world: World, host: str = HOST, slug: str = "acme") -> Any:
    answer = domains(world, "POST", "", {"domain": host}, slug)
    assert answer.status == 201, answer.text
    return answer.json


def published(world: World, host: str = HOST, slug: str = "acme") -> None:
    """Claim a domain and make its record beside those that are there."""
    record = claimed(world, host, slug)["record"]
    NAMES.txt.setdefault(record["name"], []).append([record["value"]])


def verify(world: World, host: str = HOST, slug: str = "acme", **more: Any) -> Answer:
    return domains(world, "POST", f"/{host}/verify", slug=slug, **more)


def refused(answer: Answer, *words: str) -> None:
    assert (answer.status, answer.json["code"]) == (409, "domain_not_proven"), answer.text
    for word in words:
        assert word in answer.json["detail"], answer.json["detail"]


# -- the way from claim to proof ----------------------------------------------------------------------------------------------


def test_a_domain_is_proven_by_its_record(any_world: World) -> None:
    """Issue 6 (domains with DNS proof): the answer says which record to make; with it the domain is the tenant's, which it keeps."""
    world = any_world
    made = domains(world, "POST", "", {"domain": HOST})
    assert made.header("location") == f"{PUBLIC}/uflow/tenants/acme/domains/{HOST}"
    record = made.json["record"]
    assert (made.json["state"], record["type"], record["name"]) == ("pending", "TXT", CHALLENGE)
    assert re.fullmatch(r"authsec=[A-Za-z0-9_-]{43}", record["value"])
    refused(verify(world), f"no name {CHALLENGE}")
    seen = domains(world, "GET", f"/{HOST}").json
    assert "no name" in seen["found"]
    assert seen["checked_at"]
    NAMES.txt[CHALLENGE] = [["v=spf1 -all"], [record["value"]]]
    proven = verify(world)
    assert (proven.status, proven.json["state"]) == (200, "proven"), proven.text
    assert "record" not in proven.json
    NAMES.clear()
    assert verify(world).json["state"] == "proven"
    assert NAMES.asked == []
    assert domains(world, "GET", f"/{HOST}").json["state"] == "proven"
    for kind in ("domain.claimed", "domain.proven"):
        (event,) = world.events(kind)
        assert (event.actor, event.details) == (world.people["acme", "admin"], {"domain": HOST})


def test_a_claim_gives_nothing(any_world: World) -> None:
    """Issue 6: an unproven domain leads to no tenant, and a proven one changes no issuer: protocol endpoints stay where they are."""
    world = any_world
    resolver = world.house.installation.resolver
    published(world)
    assert resolver.by_host(HOST) is None
    assert world.house.send("GET", "/jwks", host=HOST, scheme="https").status == 404
    assert verify(world).status == 200
    found = resolver.by_host(HOST)
    assert found is not None
    assert found.slug == "acme"
    assert found.issuer == world.tenants["acme"].issuer
    assert world.house.send("GET", "/jwks", host=HOST, scheme="https").status == 404
    assert domains(world, "DELETE", f"/{HOST}").status == 204
    assert resolver.by_host(HOST) is None
    assert domains(world, "GET", f"/{HOST}").status == 404


def test_a_squatter_blocks_nobody(any_world: World) -> None:
    """Issue 6: any number of tenants may claim a name; each has a value of its own, and only the owner's is in the DNS."""
    world = any_world
    squatted = claimed(world, slug="globex")["record"]["value"]
    published(world)
    assert NAMES.txt[CHALLENGE] != [[squatted]]
    refused(verify(world, slug="globex"), "none is the value")
    assert verify(world).status == 200
    # Even with its value in the DNS, the other comes too late; and nobody learns of it who has not proven as much.
    refused(verify(world, slug="globex"), "none is the value")
    NAMES.txt[CHALLENGE].append([squatted])
    late = verify(world, slug="globex")
    assert (late.status, late.json["code"]) == (409, "conflict")
    assert world.house.installation.resolver.by_host(HOST).slug == "acme"  # type: ignore[union-attr]


def test_of_several_who_prove_at_once_one_has_it(any_world: World) -> None:
    """Issue 6 (one tenant only, by a constraint): both values stand in the DNS, both tenants ask at once, on each kind of database."""
    world = any_world
    for slug in ("acme", "globex"):
        published(world, slug=slug)
    tokens = {slug: world.token(slug) for slug in ("acme", "globex")}
    slugs = ["acme", "globex"] * (RACERS // 2)
    # More may be told to come again: few ask the DNS at a time.
    answers = together(RACERS, lambda i: verify(world, slug=slugs[i], token=tokens[slugs[i]]))
    winners = {slugs[i] for i, answer in enumerate(answers) if answer.status == 200}
    assert len(winners) == 1, [answer.text for answer in answers]
    assert {answer.status for answer in answers} <= {200, 409, 503}
    assert scalar(world.house.settings.control_url, "SELECT count(*) FROM domains WHERE host = ?", HOST) == 1


def test_the_constraint_itself(any_world: World) -> None:
    """Issue 6: two transactions that both found nobody cannot both give a name away."""
    world = any_world
    control = world.house.installation.store.control
    ids = [world.tenants[slug].id for slug in ("acme", "globex")]

    def give(number: int) -> bool:
        try:
            control.writing(lambda conn: domains_table.create(conn, HOST, ids[number]))
        except identity_domains.Conflict:
            return False
        return True

    assert Counter(together(2, give)) == {True: 1, False: 1}


def test_adding_again_shows_the_same_record(any_world: World) -> None:
    """Issue 6, item 7: with the same key the answer is replayed; without one the claim is the one that there is."""
    headers = {"idempotency-key": "k"}
    first = domains(any_world, "POST", "", {"domain": HOST}, headers=headers)
    again = domains(any_world, "POST", "", {"domain": HOST}, headers=headers)
    assert (again.json, again.header("idempotency-replayed")) == (first.json, "true")
    assert claimed(any_world, HOST.upper() + ".")["record"] == first.json["record"]
    NAMES.txt[CHALLENGE] = [[first.json["record"]["value"]]]
    assert verify(any_world).status == 200
    assert domains(any_world, "POST", "", {"domain": HOST}).json["code"] == "conflict"


def test_a_claim_ends_after_a_month(any_world: World) -> None:
    """Issue 6: what is never proven is forgotten; a record that was left in the DNS proves nothing to a new claim."""
    published(any_world)
    with clock.shifted(identity_domains.CLAIM_LIFETIME + 5):
        token = any_world.token()
        assert verify(any_world, token=token).status == 404
        assert domains(any_world, "GET", token=token).json["items"] == []
        assert domains(any_world, "POST", "", {"domain": HOST}, token=token).status == 201
        refused(verify(any_world, token=token), "none is the value")
    control = any_world.house.installation.store.control
    assert control.writing(lambda conn: domain_claims.purge_expired(conn, clock.now() + 10**9)) == 1


# -- what the DNS may say -----------------------------------------------------------------------------------------------------


def test_another_value_is_shown(world: World) -> None:
    """Issue 6 (sentences that say what was found instead): printable, shortened, not more than three."""
    claimed(world)
    NAMES.txt[CHALLENGE] = [["v=spf1 -all"]]
    refused(verify(world), "There is a TXT record at", "“v=spf1 -all”")
    NAMES.txt[CHALLENGE] = [[f"record-{number}" + "x" * 200] for number in range(9)]
    answer = verify(world)
    refused(answer, "There are 9 TXT records", "record-", "… and 6 more".removeprefix("… "))
    assert len(answer.json["detail"]) < 600


def test_a_hostile_value_is_shown_harmless(world: World) -> None:
    """S119: control characters and bytes that are no text stand neither in the answer nor in the log."""
    claimed(world)
    NAMES.txt[CHALLENGE] = [["\\\\001\\\\027[2J\\\\255<script>"]]
    answer = verify(world)
    refused(answer, "<script>")
    assert answer.json["detail"].isprintable()


def test_strings_of_one_record_are_one_text(world: World) -> None:
    """RFC 1035 §3.3.14: a record of several strings is their concatenation; two halves in two records are none."""
    value = claimed(world)["record"]["value"]
    NAMES.txt[CHALLENGE] = [[value[:20]], [value[20:]]]
    refused(verify(world))
    NAMES.txt[CHALLENGE] = [[value[:20], value[20:]]]
    assert verify(world).status == 200


@pytest.mark.parametrize(
    "change", [str.upper, lambda value: value[:-1], lambda value: value + "x", lambda value: value.partition("=")[2]]
)
def test_nearly_the_value_is_not_the_value(world: World, change: Any) -> None:
    """Issue 6: case, a letter less or more: not proven."""
    NAMES.txt[CHALLENGE] = [[change(claimed(world)["record"]["value"])]]
    refused(verify(world))


def test_a_name_without_records(world: World) -> None:
    """RFC 2308 §2.2: the name is there and has no TXT record: said so, not as if there were no name."""
    claimed(world)
    NAMES.txt[CHALLENGE] = []
    refused(verify(world), "has no TXT record")


@pytest.mark.parametrize(("trouble", "word"), [("SERVFAIL", "SERVFAIL"), ("REFUSED", "REFUSED"), ("NOTIMP", "NOTIMP")])
def test_name_servers_in_trouble(world: World, trouble: str, word: str) -> None:
    """RFC 1035 §4.1.1: an error of the name servers proves nothing, and is named."""
    published(world)
    NAMES.trouble[CHALLENGE] = trouble
    refused(verify(world), "could not answer", word)
    NAMES.trouble.clear()
    assert verify(world).status == 200


@pytest.mark.parametrize("trouble", ["silent", "wrong id", "garbage"])
def test_name_servers_that_do_not_answer(world: World, trouble: str) -> None:
    """Issue 6 (short timeouts), RFC 5452 §9.1: silence ends in seconds; what cannot be read, or answers another question, is no answer."""
    published(world)
    NAMES.trouble[CHALLENGE] = trouble
    refused(verify(world), "have not answered", "Try again")
    assert len(NAMES.asked) >= 2


def test_a_large_answer_comes_by_tcp(world: World) -> None:
    """RFC 7766 §5: an answer that was cut is asked for again by TCP, and the value found among many records."""
    value = claimed(world)["record"]["value"]
    NAMES.txt[CHALLENGE] = [[f"{number:03}" + "x" * 200, "y" * 200] for number in range(60)] + [[value]]
    assert verify(world).status == 200
    assert {how for how, _ in NAMES.asked} == {"udp", "tcp"}


def test_more_records_than_anybody_reads(world: World) -> None:
    """S110: what is larger than a name server may send, or more than is looked at, is an answer like any other."""
    claimed(world)
    NAMES.txt[CHALLENGE] = [[f"{number:04}" + "x" * 200] for number in range(250)]
    refused(verify(world), "There are 100 TXT records")


def test_an_alias_is_followed(world: World) -> None:
    """RFC 1034 §3.6.2: the record may stand where the owner's CNAME leads; a circle ends."""
    value = claimed(world)["record"]["value"]
    NAMES.cname[CHALLENGE] = "proofs.elsewhere.example"
    NAMES.txt["proofs.elsewhere.example"] = [[value]]
    assert verify(world).status == 200
    claimed(world, "other.example")
    NAMES.cname["_authsec-challenge.other.example"] = "_authsec-challenge.other.example"
    answer = verify(world, "other.example")
    assert (answer.status, answer.json["code"]) == (409, "domain_not_proven")


def test_an_alias_reads_nothing_out(world: World) -> None:
    """S110: who owns a name leads it into names that only the server can ask for, and is not told what stands there."""
    claimed(world)
    NAMES.cname[CHALLENGE] = "secrets.inside.example"
    NAMES.txt["secrets.inside.example"] = [["vault-token=hunter2"]]
    refused(answer := verify(world), "leads to secrets.inside.example")
    assert "hunter2" not in answer.text + world.uflow("GET", "/domains").text


def test_asking_is_limited(world: World) -> None:
    """Issue 6 (limits): ten looks a minute and tenant, whether or not its rate limits are on; another tenant has its own."""
    world.house.installation.provisioning.change_settings(world.tenants["acme"], {"rate_limits": "off"})
    claimed(world)
    claimed(world, slug="globex")
    token = world.token()
    answers = [verify(world, token=token) for _ in range(11)]
    assert [answer.status for answer in answers] == [409] * 10 + [429]
    assert answers[-1].header("retry-after")
    assert len(NAMES.asked) == 10
    refused(verify(world, slug="globex"))


def test_few_ask_at_a_time(world: World) -> None:
    """S110: silent name servers hold two threads of a process at most; whoever comes meanwhile is told when to come again."""
    claimed(world)
    NAMES.trouble[CHALLENGE] = "silent"
    token = world.token()
    answers = together(5, lambda _number: verify(world, token=token))
    assert Counter(answer.status for answer in answers) == {409: 2, 503: 3}
    assert all(answer.header("retry-after") for answer in answers if answer.status == 503)


def test_there_are_not_any_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 6 (limits): a tenant has at most so many, claims among them."""
    monkeypatch.setattr(identity_domains, "MOST", 3)
    for number in range(3):
        claimed(world, f"d{number}.acme.example")
    answer = domains(world, "POST", "", {"domain": "d3.acme.example"})
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert claimed(world, "d2.acme.example")  # it is there already


# -- lists, deletion, strangers -----------------------------------------------------------------------------------------------


def test_lists(any_world: World) -> None:
    """Issue 6, item 7: proven and pending, by pages and by cursor in both orders."""
    world = any_world
    for letter in "cab":
        published(world, f"{letter}.acme.example")
    assert verify(world, "b.acme.example").status == 200
    listed = lambda query: [each["domain"][0] for each in domains(world, "GET", query).json["items"]]  # noqa: E731
    assert listed("") == ["a", "b", "c"]
    assert listed("?sort=-domain") == ["c", "b", "a"]
    assert listed("?state=pending") == ["a", "c"]
    assert listed("?state=proven") == ["b"]
    assert listed("?limit=2&page=2") == ["c"]
    for sort, order in (("domain", "abc"), ("-domain", "cba")):
        first = domains(world, "GET", f"?limit=1&sort={sort}").json
        second = domains(world, "GET", f"?limit=2&sort={sort}&after={first['next']}").json
        assert [each["domain"][0] for each in first["items"] + second["items"]] == list(order)
        assert (second["total"], "next" in second) == (3, False)


def test_the_domain_that_a_tenant_is_issued_at_stays(world: World) -> None:
    """Issue 6: deleting it would leave an issuer that leads nowhere."""
    published(world)
    etag = domains(world, "GET", f"/{HOST}").header("etag")
    assert verify(world).status == 200
    assert domains(world, "DELETE", f"/{HOST}", headers={"if-match": str(etag)}).status == 412
    provisioning = world.house.installation.provisioning
    provisioning.set_issuer(provisioning.find("acme"), HOST)
    token = world.token("system")
    answer = domains(world, "DELETE", f"/{HOST}", token=token)
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    provisioning.set_issuer(provisioning.find("acme"), None)
    assert domains(world, "DELETE", f"/{HOST}", token=token).status == 204


def test_an_operators_domain_is_proven(world: World) -> None:
    """Interfaces §2 (`idp tenant create --domain`): who has a shell is trusted; the tenant sees the domain as its own."""
    world.tenants["shop"] = world.house.tenant("shop", "id.shop.example")
    listed = domains(world, "GET", slug="shop", token=world.token("system")).json["items"]
    assert [(each["domain"], each["state"]) for each in listed] == [("id.shop.example", "proven")]
    # Somebody else may claim it, and will not prove it.
    published(world, "id.shop.example")
    answer = verify(world, "id.shop.example")
    assert (answer.status, answer.json["code"]) == (409, "conflict")


def test_another_tenants_domain_is_nothing(world: World) -> None:
    """Issue 6 (cross-tenant): neither claims nor proven domains of another tenant are seen, proven or deleted."""
    published(world, slug="globex")
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/verify")):
        assert domains(world, method, f"/{HOST}{rest}").status == 404
        assert domains(world, method, f"/{HOST}{rest}", slug="globex", token=world.token()).status == 401
    assert NAMES.asked == []
    assert domains(world, "GET").json["items"] == []
    assert verify(world, slug="globex").status == 200


def test_a_deleted_tenants_domains_are_free(world: World) -> None:
    """Issue 6 (tenants: delete): its claims and domains go with it."""
    published(world, slug="globex")
    assert verify(world, slug="globex").status == 200
    claimed(world, "other.example", slug="globex")
    world.house.installation.provisioning.delete(world.tenants["globex"])
    for table in ("domains", "domain_claims"):
        assert scalar(world.house.settings.control_url, f"SELECT count(*) FROM {table}") == 0
    published(world)
    assert verify(world).status == 200

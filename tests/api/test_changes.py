"""Lost updates and repeated requests: ETag, If-Match and Idempotency-Key, with real threads on each kind of database."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from api_world import HOST, World, client_of

from idp import clock
from idp.api.merge_patch import merged
from idp.store.tenant import idempotency_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from house import Answer

RACERS = 12
LANGUAGES = ["de", "fr", "it", "es", "pt", "nl", "pl", "cs", "da", "sv", "fi", "en-GB"]


def together(act: Callable[[int], Answer], racers: int = RACERS) -> list[Answer]:
    """The answers of threads that begin at once."""
    barrier, answers = threading.Barrier(racers), [None] * racers

    def run(number: int) -> None:
        barrier.wait(30)
        answers[number] = act(number)  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert None not in answers
    return answers  # type: ignore[return-value]


def etag(answer: Answer) -> str:
    found = answer.header("etag")
    assert found, answer.text
    return found


# -- ETag, If-Match -----------------------------------------------------------------------------------------------------------

CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", "", client_of(client_name="Replaced")),
    ("PATCH", "", {"client_name": "Patched"}),
    ("POST", "/deactivate", None),
    ("POST", "/activate", None),
    ("POST", "/rotate-secret", None),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(
    ("method", "action", "body"), CHANGES, ids=[f"{method}{action}" for method, action, _ in CHANGES]
)
def test_a_change_of_what_was_not_read_is_refused(any_world: World, method: str, action: str, body: Any) -> None:
    """RFC 9110 §13.1.1, interfaces §5: If-Match with a former state is 412 and changes nothing; with the present one it is done."""
    read = etag(any_world.clients("POST", "", client_of(client_id="orders")))
    now = etag(any_world.clients("PATCH", "/orders", {"contacts": ["a@example.com"]}))
    assert read != now
    before = any_world.dump()
    for tag in (read, f"W/{now}", '"nonsense"', "nonsense", f'"x", {read}', ""):
        answer = any_world.clients(method, f"/orders{action}", body, headers={"if-match": tag})
        assert (answer.status, answer.json["code"]) == (412, "precondition_failed"), tag
    assert any_world.dump() == before
    done = any_world.clients(method, f"/orders{action}", body, headers={"if-match": f'"x", {now}'})
    assert done.status in (200, 204), done.text


def test_any_state(world: World) -> None:
    """RFC 9110 §13.1.1: * is any state there is; without If-Match the change is made; on what is not there it is 404."""
    world.clients("POST", "", client_of(client_id="orders"))
    assert world.clients("PATCH", "/orders", {"client_name": "A"}, headers={"if-match": "*"}).status == 200
    assert world.clients("PATCH", "/orders", {"client_name": "B"}).status == 200
    assert world.clients("PATCH", "/nothing", {"client_name": "B"}, headers={"if-match": "*"}).status == 404


def test_every_change_is_another_state(world: World) -> None:
    """RFC 9110 §8.8.3: each change gives another tag, within one second too, and a new secret although nobody is shown it."""
    tags = [etag(world.clients("POST", "", client_of(client_id="orders")))]
    for method, action, body in CHANGES[:-1]:
        tags.append(etag(world.clients(method, f"/orders{action}", body)))
        assert etag(world.clients("GET", "/orders")) == tags[-1]
    assert all(one != other for one, other in itertools.pairwise(tags))
    assert tags[-1] not in tags[:-1]


def test_what_is_unchanged_is_not_sent_again(world: World) -> None:
    """RFC 9110 §13.1.2: If-None-Match with the present state is 304 without a body, weakly compared."""
    tag = etag(world.clients("POST", "", client_of(client_id="orders")))
    for sent in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        answer = world.clients("GET", "/orders", headers={"if-none-match": sent})
        assert (answer.status, answer.body, answer.header("etag")) == (304, b"", tag)
    assert world.clients("GET", "/orders", headers={"if-none-match": '"other"'}).status == 200


def test_of_changes_to_one_state_one_is_made(any_world: World) -> None:
    """Interfaces §5 (lost update): of many changes of the same state at once exactly one is made, the others are 412."""
    read = etag(any_world.clients("POST", "", client_of(client_id="orders")))
    tokens = [any_world.token() for _ in range(RACERS)]
    answers = together(
        lambda number: any_world.clients(
            "PATCH", "/orders", {"client_name": f"n{number}"}, headers={"if-match": read}, token=tokens[number]
        )
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 412: RACERS - 1}
    (winner,) = [answer for answer in answers if answer.status == 200]
    assert any_world.clients("GET", "/orders").json == winner.json
    assert len(any_world.events("client.updated")) == 1


def test_patches_of_different_members_all_hold(any_world: World) -> None:
    """RFC 5789 §2, RFC 7396: a patch is applied to what is there at that moment; none of many at once is lost."""
    any_world.clients("POST", "", client_of(client_id="orders"))
    tokens = [any_world.token() for _ in range(RACERS)]
    answers = together(
        lambda number: any_world.clients(
            "PATCH", "/orders", {f"client_name#{LANGUAGES[number]}": f"n{number}"}, token=tokens[number]
        )
    )
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers]
    shown = any_world.clients("GET", "/orders").json
    assert [shown[f"client_name#{LANGUAGES[number]}"] for number in range(RACERS)] == [
        f"n{number}" for number in range(RACERS)
    ]


def test_of_rotations_at_once_the_last_secret_is_the_one(any_world: World) -> None:
    """Issue 6: rotations at once give a secret each; one of them is the client's."""
    from house import basic

    acme = any_world.tenants["acme"]
    any_world.house.client(acme, "app")
    tokens = [any_world.token() for _ in range(RACERS)]
    answers = together(lambda number: any_world.clients("POST", "/app/rotate-secret", token=tokens[number]))
    secrets = {answer.json["client_secret"] for answer in answers}
    assert len(secrets) == RACERS
    form = {"grant_type": "client_credentials"}
    good = [
        each for each in secrets if any_world.house.post(acme, "/token", form, headers=basic("app", each)).status == 200
    ]
    assert len(good) == 1


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7396(target: Any, patch: Any, expected: Any) -> None:
    """RFC 7396 Appendix A: every example of the specification."""
    assert merged(target, patch) == expected


# -- Idempotency-Key ----------------------------------------------------------------------------------------------------------

HOOK = {"url": "https://hooks.example/x", "event_types": ["user.created"]}
CREATES = [
    ("/tenants/acme/clients", client_of(), "client.created", "client_secret"),
    ("/tenants/acme/initial-access-tokens", {"name": "x"}, "registration_token.created", "token"),
    ("/tenants/acme/webhooks", HOOK, "webhook.created", "secret"),
]
SERVICE_OF = {"/tenants/acme/webhooks": "uflow"}


def test_every_create_is_repeatable() -> None:
    """Issue 6, item 7: each operation that makes something and answers 201 takes the key; the list has those with secrets."""
    from idp.api.services import SERVICES

    creates = [each for service in SERVICES for each in service.operations if each.status == 201]
    assert all(each.is_repeatable for each in creates)
    shown_once = {each.path.format(tenant_id="acme") for each in creates if "answer alone" in each.description}
    assert shown_once == {path for path, *_ in CREATES}


@pytest.mark.parametrize(("path", "body", "kind", "secret"), CREATES, ids=["client", "token", "webhook"])
def test_a_repeated_create_makes_nothing(any_world: World, path: str, body: Any, kind: str, secret: str) -> None:
    """Issue 6, item 7: the same request with the same key is answered as the first was, secret, Location and ETag included."""
    headers = {"idempotency-key": "a-key-of-mine"}
    service = SERVICE_OF.get(path, "clientms")
    first = any_world.call("POST", path, body, headers=headers, service=service)
    assert (first.status, first.header("idempotency-replayed")) == (201, None)
    again = any_world.call("POST", path, body, headers=headers, service=service)
    assert (again.status, again.header("idempotency-replayed")) == (201, "true")
    assert again.json == first.json
    assert again.json[secret]
    for name in ("location", "etag"):
        assert again.header(name) == first.header(name)
    assert len(any_world.events(kind)) == 1
    other = any_world.call("POST", path, body, headers={"idempotency-key": "another"}, service=service)
    assert other.json[secret] != first.json[secret]


@pytest.mark.parametrize(("path", "body", "kind", "secret"), CREATES, ids=["client", "token", "webhook"])
def test_of_equal_creates_at_once_one_is_made(any_world: World, path: str, body: Any, kind: str, secret: str) -> None:
    """Issue 6, item 7: of many equal requests at once with one key one makes something, and all are told the same."""
    tokens = [any_world.token() for _ in range(RACERS)]
    answers = together(
        lambda number: any_world.call(
            "POST",
            path,
            body,
            headers={"idempotency-key": "k"},
            token=tokens[number],
            service=SERVICE_OF.get(path, "clientms"),
        )
    )
    assert {answer.status for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json[secret] for answer in answers}) == 1
    assert Counter(answer.header("idempotency-replayed") for answer in answers) == {None: 1, "true": RACERS - 1}
    assert len(any_world.events(kind)) == 1


def test_equal_creates_of_a_named_client_at_once(any_world: World) -> None:
    """Issue 6, item 7: who loses the race for the id against an equal request is told what that one answered, not 409."""
    body = client_of(client_id="named")
    tokens = [any_world.token() for _ in range(RACERS)]
    answers = together(
        lambda number: any_world.clients("POST", "", body, headers={"idempotency-key": "k"}, token=tokens[number])
    )
    assert {answer.status for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json["client_secret"] for answer in answers}) == 1


def test_a_key_is_for_one_request(any_world: World) -> None:
    """Issue 6, item 7: the same key with another body, operation or tenant: 422, or a request of its own where it is another's."""
    headers = {"idempotency-key": "k"}
    assert any_world.clients("POST", "", client_of(), headers=headers).status == 201
    before = any_world.dump()
    other = any_world.clients("POST", "", client_of(client_name="Other"), headers=headers)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    elsewhere = any_world.call("POST", "/tenants/acme/initial-access-tokens", {"name": "x"}, headers=headers)
    assert (elsewhere.status, elsewhere.json["code"]) == (422, "idempotency_key_reused")
    assert any_world.dump() == before


def test_a_key_belongs_to_its_caller_and_tenant(world: World) -> None:
    """Security rule 6: another caller's, application's or tenant's key of the same name is another key, and shows nobody's secret."""
    headers = {"idempotency-key": "k"}
    answers = [
        world.clients("POST", "", client_of(), headers=headers),
        world.clients("POST", "", client_of(), headers=headers, token=world.token("acme", "apps")),
        world.clients("POST", "", client_of(), headers=headers, token=world.token("system")),
        world.clients("POST", "", client_of(), headers=headers, slug="globex", token=world.token("globex")),
        world.clients("POST", "", client_of(), headers=headers, slug="globex", token=world.token("system")),
    ]
    assert [answer.status for answer in answers] == [201] * 5
    assert len({answer.json["client_secret"] for answer in answers}) == 5
    # Without the permission the answer is not told either, whoever had the key.
    read_only = world.token(scope="clients:read")
    assert world.clients("POST", "", client_of(), headers=headers, token=read_only).status == 403


def test_a_refused_request_keeps_no_key(world: World) -> None:
    """docs/api.md: a refusal made nothing; corrected, the request may use the key."""
    headers = {"idempotency-key": "k"}
    assert world.clients("POST", "", client_of(redirect_uris=["nonsense"]), headers=headers).status == 422
    assert world.clients("POST", "", client_of(), headers=headers).status == 201


def test_a_key_ends_after_a_day(any_world: World) -> None:
    """Issue 6, item 7: 24 hours later the key is free, whether or not the purge has been there."""
    headers = {"idempotency-key": "k"}
    first = any_world.clients("POST", "", client_of(), headers=headers).json
    with clock.shifted(86_400 - 10):
        assert any_world.clients("POST", "", client_of(), headers=headers).json == first
    with clock.shifted(86_400 + 1):
        again = any_world.clients("POST", "", client_of(), headers=headers)
        assert (again.status, again.header("idempotency-replayed")) == (201, None)
        assert again.json["client_id"] != first["client_id"]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\u00e4"])
def test_a_key_that_is_none(shared: World, key: str) -> None:
    """Issue 6, item 7: 1 to 255 visible characters, once."""
    answer = shared.clients("POST", "", client_of(), headers={"idempotency-key": key})
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (422, "idempotency-key")


def test_two_keys(shared: World) -> None:
    """RFC 9110 §5.3: a key that stands there twice is none."""
    pairs = [("idempotency-key", "a"), ("idempotency-key", "b"), ("authorization", f"Bearer {shared.token()}")]
    answer = shared.house.send(
        "POST",
        "/clientms/tenants/acme/clients",
        headers=[*pairs, ("content-type", "application/json")],
        body=b"{}",
        host=HOST,
    )
    assert answer.status == 422


def test_a_kept_answer_is_sealed(world: World) -> None:
    """Security rule 9: neither the secret nor the caller's name for the request can be read in the database."""
    headers = {"idempotency-key": "plain-name-of-the-request"}
    secret = world.clients("POST", "", client_of(), headers=headers).json["client_secret"]
    text = repr(world.dump())
    assert secret not in text
    assert "plain-name-of-the-request" not in text


def test_an_answer_that_cannot_be_opened(world: World) -> None:
    """S118: a kept answer of another master key, or of another row, is no answer: 409, and nothing is made a second time."""
    headers = {"idempotency-key": "k"}
    world.clients("POST", "", client_of(), headers=headers)
    table = idempotency_keys.idempotency_keys
    sealed = world.house.installation.envelope.seal(b"{}", "something else")
    world.database().writing(lambda conn: conn.execute(table.update().values(sealed_answer=sealed)))
    before = world.dump()
    answer = world.clients("POST", "", client_of(), headers=headers)
    assert (answer.status, answer.json["code"]) == (409, "answer_unreadable")
    assert world.dump() == before

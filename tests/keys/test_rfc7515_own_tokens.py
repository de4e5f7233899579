from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from joserfc.jws import JWSRegistry

from idp import clock
from idp.keys import signer
from idp.keys.algorithms import left_half_hash
from idp.keys.compact import MAX_TOKEN, InvalidToken, parse
from idp.keys.jwks import jwks_document
from idp.keys.signer import NoSigningKey, TenantKeys, VerifiedTokens

ALL = ("ES256", "RS256", "EdDSA", "PS256")
AUDIENCE = "https://api.example.com"


def refused(site, token: str, **how) -> str:
    """The reason for which a token is refused at its own tenant, twice alike (the second time from memory, were it kept)."""
    reasons = set()
    keys = site.keys()
    for _ in range(2):
        with pytest.raises(InvalidToken) as caught:
            keys.verify(token, **{"typ": "at+jwt", "issuer": site.issuer, "audience": AUDIENCE} | how)
        reasons.add(caught.value.reason)
    assert len(reasons) == 1
    reason = reasons.pop()
    assert token == "" or token not in reason
    return reason


def accepted(site, token: str, **how):
    """The claims of a token that its own tenant accepts."""
    return site.keys().verify(token, **{"typ": "at+jwt", "issuer": site.issuer, "audience": AUDIENCE} | how)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 renames it; relying parties know this name
@pytest.mark.parametrize("alg", ALL)
def test_a_stranger_can_verify_what_we_sign(acme, alg: str) -> None:
    """RFC 7515 §5.1: a token says alg, kid and typ, and verifies with joserfc and the published key set alone."""
    keys = acme.keys()
    claims = acme.claims(name="Zoë 🦊", nested={"cnf": {"jkt": "x"}}, list=["a", 1, True, None])
    token = keys.sign(claims, alg=alg, typ="at+jwt")
    published = KeySet.import_key_set(json.loads(jwks_document(keys)[0]))
    found = jwt.decode(token, published, algorithms=[alg])
    assert found.header == {"alg": alg, "kid": keys.active_kid(alg), "typ": "at+jwt"}
    assert found.claims == claims
    assert keys.verify(token, typ="at+jwt", issuer=acme.issuer, audience=AUDIENCE) == claims


def test_only_an_algorithm_of_the_tenant_signs(site) -> None:
    """RFC 8725 §3.1: an algorithm the tenant has no active key for signs nothing, none included."""
    from idp.keys.rotation import create_initial

    create_initial(site.database, site.envelope, site.id)
    keys = site.keys()
    assert sorted(keys.algorithms) == ["ES256", "RS256"]
    for alg in ("EdDSA", "PS256", "HS256", "none", ""):
        with pytest.raises(NoSigningKey):
            keys.sign(site.claims(), alg=alg, typ="JWT")


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "HS256", "RS256", "ES384", "", None, 1, ["ES256"]])
@pytest.mark.parametrize("signed", [True, False])
def test_the_header_cannot_choose_the_algorithm(acme, forge, alg, signed: bool) -> None:
    """RFC 8725 §3.1, S034: an alg that is not the key's own is refused, with a signature or without."""
    header, payload, signature = forge.unpack(acme.keys().sign(acme.claims(), alg="ES256", typ="at+jwt"))
    header["alg"] = alg
    token = f"{forge.segment(header)}.{forge.segment(payload)}." + (forge.segment(signature) if signed else "")
    refused(acme, token)
    refused(acme, forge.sealed(acme.keys(), header, payload))


@pytest.mark.parametrize("form", ["PEM", "DER", "JWK", "sorted JWK"])
@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_public_key_is_no_secret(acme, forge, alg: str, form: str) -> None:
    """RFC 8725 §2.1, S028, S034: HS256 keyed by the published public key is refused."""
    keys = acme.keys()
    jwk = next(jwk for jwk in keys.public_jwks if jwk["alg"] == alg)
    public = keys._public.get(jwk["kid"]) or signer.ALGORITHMS[alg].load_public(jwk)
    encoding = serialization.Encoding.PEM if form == "PEM" else serialization.Encoding.DER
    secret = public.get_op_key("verify").public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    if "JWK" in form:
        secret = json.dumps(jwk, sort_keys=form != "JWK").encode()
    header = {"alg": "HS256", "kid": jwk["kid"], "typ": "at+jwt"}
    text = f"{forge.segment(header)}.{forge.segment(acme.claims())}"
    oct_key = OctKey.import_key(base64.urlsafe_b64encode(secret).decode())
    object.__setattr__(oct_key, "_raw_value", secret)
    mac = JWSRegistry.algorithms["HS256"].sign(text.encode(), oct_key)
    assert refused(acme, f"{text}.{forge.segment(mac)}") == "the key is for another algorithm"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crit", ["x"]),
        ("crit", []),
        ("crit", ["b64"]),
        ("b64", False),
        ("b64", True),
        ("jku", "https://attacker.example/jwks"),
        ("x5u", "https://attacker.example/cert"),
        ("x5c", ["MIIB"]),
        ("x5t", "abc"),
        ("cty", "JWT"),
        ("zip", "DEF"),
        ("new", 1),
    ],
)
def test_a_header_member_that_we_never_write_is_refused(acme, forge, name: str, value) -> None:
    """RFC 7515 §4.1.11, RFC 8725 §3.10, S034: crit, b64 and every reference to a key are refused, rightly signed or not."""
    keys = acme.keys()
    header = {"alg": "ES256", "kid": keys.active_kid("ES256"), "typ": "at+jwt"}
    assert accepted(acme, forge.sealed(keys, header, acme.claims()))
    token = forge.sealed(keys, header | {name: value}, acme.claims())
    assert refused(acme, token) == "the header has a member that is not allowed"


def test_a_key_in_the_header_is_refused(acme, forge) -> None:
    """RFC 8725 §3.10, S034: a token that brings its own key (jwk) is refused, with our kid, its kid or none."""
    theirs = ECKey.generate_key("P-256")
    for kid in (acme.keys().active_kid("ES256"), theirs.thumbprint()):
        for more in ({"jwk": theirs.as_dict(private=False)}, {}):
            header = {"alg": "ES256", "kid": kid, "typ": "at+jwt"} | more
            text = f"{forge.segment(header)}.{forge.segment(acme.claims())}"
            refused(acme, f"{text}.{forge.segment(JWSRegistry.algorithms['ES256'].sign(text.encode(), theirs))}")


@pytest.mark.parametrize("kid", [None, "", 1, ["a"], {"a": 1}, "../../etc/passwd", "' OR 1=1 --", "\u0000"])
def test_only_a_known_kid(acme, forge, kid) -> None:
    """RFC 7515 §4.1.4: a kid is looked up among the tenant's keys and used for nothing else."""
    refused(acme, forge.sealed(acme.keys(), {"alg": "ES256", "kid": kid, "typ": "at+jwt"}, acme.claims()))
    refused(acme, forge.sealed(acme.keys(), {"alg": "ES256", "typ": "at+jwt"}, acme.claims()))


@pytest.mark.parametrize("alg", ALL)
def test_another_tenants_token_is_refused(acme, globex, forge, alg: str) -> None:
    """ASVS 5.0 §9.2.3, S034, S037: a token of tenant B does not verify at tenant A, under B's kid or under A's."""
    token = globex.keys().sign(acme.claims(), alg=alg, typ="at+jwt")
    assert refused(acme, token) == "no key of this tenant"
    header, payload, _ = forge.unpack(token)
    header["kid"] = acme.keys().active_kid(alg)
    assert refused(acme, forge.sealed(globex.keys(), header, payload, alg)) == "the signature does not match"


@pytest.mark.parametrize("alg", ALL)
def test_every_changed_character_is_noticed(acme, alg: str) -> None:
    """RFC 7515 §5.2: a token with any one character changed, missing or added is refused."""
    keys = acme.keys()
    token = keys.sign(acme.claims(), alg=alg, typ="at+jwt")
    step = max(1, len(token) // 150)
    for position in [*range(0, len(token), step), len(token) - 1, len(token) - 2]:
        for changed in (
            token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :],
            token[:position] + token[position + 1 :],
            token[:position] + "A" + token[position:],
        ):
            if changed != token:
                with pytest.raises(InvalidToken):
                    keys.verify(changed, typ="at+jwt", issuer=acme.issuer, audience=AUDIENCE)


@pytest.mark.parametrize("alg", ALL)
def test_the_last_character_has_one_spelling(acme, alg: str) -> None:
    """RFC 4648 §3.5: unused bits of the last character are zero; the other spellings of the same signature are refused."""
    token = acme.keys().sign(acme.claims(), alg=alg, typ="at+jwt")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + char for char in alphabet if char != token[-1]]
    same = [
        t
        for t in others
        if base64.urlsafe_b64decode(t.split(".")[2] + "==") == base64.urlsafe_b64decode(token.split(".")[2] + "==")
    ]
    assert same  # the test has something to refuse
    assert {refused(acme, other) for other in same} == {"not canonical base64url"}


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "=",
        lambda t: t + "==",
        lambda t: t.replace(".", "=.", 1),
        lambda t: t + ".",
        lambda t: t + ".AAAA",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t + "AAAA",
        lambda t: t.replace(".", " ."),
        lambda t: t.replace(".", ".."),
        lambda t: t.rpartition(".")[0],
        lambda t: t.rpartition(".")[0] + ".",
        lambda t: "." + t.partition(".")[2],
        lambda t: t.split(".")[0] + ".." + t.split(".")[2],
        lambda t: "Bearer " + t,
        lambda t: t[:-1] + "é",
        lambda t: t[:-1] + "\ud800",
        lambda t: t.encode(),
        lambda t: [t],
        lambda _: None,
        lambda _: "",
        lambda _: "..",
        lambda _: "A" * (MAX_TOKEN + 1),
        lambda t: t + "A" * MAX_TOKEN,
    ],
)
def test_nothing_before_between_or_behind(acme, change) -> None:
    """RFC 7515 §3.1, S034: padding, white space, a fourth part, an empty part and trailing data are refused."""
    token = acme.keys().sign(acme.claims(), alg="ES256", typ="at+jwt")
    assert accepted(acme, token)
    with pytest.raises(InvalidToken):
        accepted(acme, change(token))


@pytest.mark.parametrize(
    "signature",
    [bytes(64), bytes(63) + b"\1", bytes(31) + b"\1" + bytes(32), bytes(72), b"\x30\x06\2\1\0\2\1\0", b"\xff" * 64],
)
def test_a_signature_of_zeros_is_no_signature(acme, forge, signature: bytes) -> None:
    """RFC 7518 §3.4, S034 (CVE-2022-21449): r = s = 0, out of range, DER instead of r‖s or another length are refused."""
    header = {"alg": "ES256", "kid": acme.keys().active_kid("ES256"), "typ": "at+jwt"}
    text = f"{forge.segment(header)}.{forge.segment(acme.claims())}"
    assert refused(acme, f"{text}.{forge.segment(signature)}") == "the signature does not match"


@pytest.mark.parametrize(
    "payload",
    [
        '{"iss":"https://id.example.com/t/acme","exp":1,"exp":9999999999,"aud":"https://api.example.com"}',
        '{"iss":"a","iss":"https://id.example.com/t/acme","exp":9999999999,"aud":"https://api.example.com"}',
        '{"iss":"https://id.example.com/t/acme","exp":9999999999,"aud":"https://api.example.com","cnf":{"jkt":"a","jkt":"b"}}',
        '{"iss":"https://id.example.com/t/acme","exp":9999999999,"aud":"https://api.example.com"} {}',
        '[{"iss":"https://id.example.com/t/acme","exp":9999999999}]',
        '"text"',
        "null",
        "",
        "{",
        b"\xff\xfe{}",
        '\ufeff{"exp":9999999999}',
        '{"exp":9999999999}'.encode("utf-16"),
        "[" * 8000,
        '{"a":' * 2000,
    ],
)
def test_repeated_members_and_what_is_not_an_object(acme, forge, payload) -> None:
    """RFC 7519 §4, RFC 8725 §3.7, S034: a repeated member, another encoding or anything but one object is refused."""
    header = {"alg": "ES256", "kid": acme.keys().active_kid("ES256"), "typ": "at+jwt"}
    assert refused(acme, forge.sealed(acme.keys(), header, payload)) in {
        "not a JSON object with unique members and finite numbers",
        "not three parts of base64url without padding",
    }


def test_repeated_members_of_the_header(acme, forge) -> None:
    """RFC 7515 §4, S034: a header that names a member twice is refused."""
    kid = acme.keys().active_kid("ES256")
    for header in (
        f'{{"alg":"none","alg":"ES256","kid":"{kid}","typ":"at+jwt"}}',
        f'{{"alg":"ES256","kid":"x","kid":"{kid}","typ":"at+jwt"}}',
    ):
        assert (
            refused(acme, forge.sealed(acme.keys(), header, acme.claims()))
            == "not a JSON object with unique members and finite numbers"
        )
    assert (
        refused(acme, forge.sealed(acme.keys(), {"alg": "ES256", "kid": kid, "typ": "x" * 600}, acme.claims()))
        == "the header is too long"
    )


def test_half_a_surrogate_pair_is_refused(acme, forge) -> None:
    """RFC 8259 §8.2: text that cannot be written as UTF-8 is refused; a whole pair is text."""
    header = {"alg": "ES256", "kid": acme.keys().active_kid("ES256"), "typ": "at+jwt"}
    refused(acme, forge.sealed(acme.keys(), header, json.dumps(acme.claims(sub="\ud83e"))))
    assert accepted(acme, forge.sealed(acme.keys(), header, json.dumps(acme.claims(sub="🦊"))))["sub"] == "🦊"


@pytest.mark.parametrize(
    ("typ", "wanted"),
    [("at+jwt", "at+jwt"), ("AT+JWT", "at+jwt"), ("application/at+jwt", "at+jwt"), ("at+jwt", "application/at+JWT")],
)
def test_the_type_is_a_media_type(acme, typ: str, wanted: str) -> None:
    """RFC 7515 §4.1.9: case does not count, and `application/` may be left out."""
    assert accepted(acme, acme.keys().sign(acme.claims(), alg="ES256", typ=typ), typ=wanted)


@pytest.mark.parametrize(
    "typ",
    ["JWT", "logout+jwt", "at+jw", "at+jwt ", "secevent+jwt", "", "text/at+jwt", "application/application/at+jwt"],
)
def test_one_kind_of_token_is_not_another(acme, typ: str) -> None:
    """RFC 8725 §3.11, RFC 9068 §4, S035: the type must be the one asked for, also when the signature is known to be right."""
    keys = acme.keys()
    token = keys.sign(acme.claims(), alg="ES256", typ=typ)
    assert keys.verify(token, typ=typ, issuer=acme.issuer)
    for _ in range(2):
        with pytest.raises(InvalidToken, match="another kind of token"):
            keys.verify(token, typ="at+jwt", issuer=acme.issuer)


@pytest.mark.parametrize("typ", [None, 1, True, ["at+jwt"]])
def test_a_type_is_required(acme, forge, typ) -> None:
    """RFC 8725 §3.11: a token without a type, or with one that is not text, is refused."""
    header = {"alg": "ES256", "kid": acme.keys().active_kid("ES256"), "typ": typ}
    assert refused(acme, forge.sealed(acme.keys(), header, acme.claims())) == "the header lacks kid, alg or typ"


def test_the_callers_algorithms_narrow(acme) -> None:
    """RFC 8725 §3.1: a caller that accepts fewer algorithms gets only those, also from memory."""
    keys = acme.keys()
    token = keys.sign(acme.claims(), alg="RS256", typ="JWT")
    assert keys.verify(token, typ="JWT", issuer=acme.issuer, algorithms=("RS256", "HS256"))
    for algorithms in (("ES256",), (), ("HS256", "none")):
        with pytest.raises(InvalidToken, match="an algorithm that is not accepted here"):
            keys.verify(token, typ="JWT", issuer=acme.issuer, algorithms=algorithms)


def test_a_remembered_token_expires(acme) -> None:
    """RFC 7519 §4.1.4: the verdict on a signature is remembered, never the verdict on time, issuer and audience."""
    keys = acme.keys()
    token = keys.sign(acme.claims(), alg="ES256", typ="at+jwt")
    good = {"typ": "at+jwt", "issuer": acme.issuer, "audience": AUDIENCE}
    assert keys.verify(token, **good)
    for wrong in (
        {"issuer": "https://id.example.com/t/acme2"},
        {"audience": "https://other.example.com"},
        {"typ": "JWT"},
    ):
        with pytest.raises(InvalidToken):
            keys.verify(token, **good | wrong)
    with clock.shifted(3600), pytest.raises(InvalidToken, match="expired"):
        keys.verify(token, **good)
    assert keys.verify(token, **good)


def test_callers_cannot_change_what_is_remembered(acme) -> None:
    """RFC 8725 §3: each caller gets claims of its own."""
    keys = acme.keys()
    token = keys.sign(acme.claims(aud=[AUDIENCE], cnf={"jkt": "a"}), alg="ES256", typ="at+jwt")
    good = {"typ": "at+jwt", "issuer": acme.issuer, "audience": AUDIENCE}
    first = keys.verify(token, **good)
    first["aud"].append("https://other.example.com")
    first["cnf"]["jkt"] = "b"
    first["sub"] = "root"
    assert keys.verify(token, **good) == acme.claims(
        aud=[AUDIENCE], cnf={"jkt": "a"}, iat=first["iat"], exp=first["exp"]
    )


def test_the_memory_is_used_and_dies_with_the_keys(acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7515 §5.2: a token is verified once per revision of the keys; new keys start without any verdict."""
    judged = []
    judge = TenantKeys._judge

    def counting(self, token):
        judged.append(token)
        return judge(self, token)

    monkeypatch.setattr(TenantKeys, "_judge", counting)
    keys = acme.keys()
    token = keys.sign(acme.claims(), alg="ES256", typ="at+jwt")
    for _ in range(3):
        keys.verify(token, typ="at+jwt", issuer=acme.issuer)
    assert len(judged) == 1
    acme.keys().verify(token, typ="at+jwt", issuer=acme.issuer)
    assert len(judged) == 2


def test_the_memory_is_bounded() -> None:
    """RFC 8725 §3: tokens that never come back cannot fill the memory; one that is asked for stays."""
    memory = VerifiedTokens(10)
    verdict = signer._Verdict("jwt", "ES256", "{}")
    kept = (0, b"kept")
    memory.put(kept, verdict)
    for number in range(1000):
        memory.put((0, number.to_bytes(4, "big")), verdict)
        assert memory.get(kept) is verdict
        assert len(memory) <= 20
    assert memory.get((0, (5).to_bytes(4, "big"))) is None
    assert memory.get((0, (999).to_bytes(4, "big"))) is verdict


def test_a_refused_token_is_not_remembered(acme, forge) -> None:
    """RFC 7515 §5.2: bad tokens leave nothing behind, neither in the memory of verdicts nor among the headers."""
    keys = acme.keys()
    before = len(signer._verified)
    for number in range(50):
        header = {"alg": "ES256", "kid": keys.active_kid("ES256"), "typ": f"x{number}"}
        token = f"{forge.segment(header)}.{forge.segment(acme.claims())}.{forge.segment(bytes(64))}"
        with pytest.raises(InvalidToken, match="the signature does not match"):
            keys.verify(token, typ=f"x{number}", issuer=acme.issuer)
    assert len(signer._verified) == before
    assert keys._headers == {}
    keys.verify(keys.sign(acme.claims(), alg="ES256", typ="JWT"), typ="JWT", issuer=acme.issuer)
    assert len(keys._headers) == 1


@pytest.mark.parametrize(
    ("alg", "name"), [("ES256", "sha256"), ("RS256", "sha256"), ("PS256", "sha256"), ("EdDSA", "sha512")]
)
def test_the_left_half_of_the_hash(alg: str, name: str) -> None:
    """OIDC Core §3.1.3.6: at_hash is the left half of the hash of the ID token's own algorithm (Ed25519: SHA-512)."""
    digest = hashlib.new(name, b"token").digest()
    assert left_half_hash(alg, "token") == base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def test_the_left_half_of_the_example() -> None:
    """OIDC Core §A.3: the example's access token has the example's at_hash."""
    assert left_half_hash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "", "es256"])
def test_no_hash_is_guessed(alg: str) -> None:
    """OIDC Core §3.1.3.6, S046: an algorithm outside the table has no hash: an error, never a default."""
    with pytest.raises(ValueError, match="no hash"):
        left_half_hash(alg, "token")


def test_other_readers_may_allow_other_members(forge) -> None:
    """RFC 7515 §4: a reader of others' tokens says which header members it understands; the rest stays strict."""
    token = f"{forge.segment({'alg': 'ES256', 'jwk': {}})}.{forge.segment({'a': 1})}.{forge.segment(b'x')}"
    assert parse(token, header_members=frozenset({"alg", "jwk"})).header["jwk"] == {}
    with pytest.raises(InvalidToken):
        parse(token)

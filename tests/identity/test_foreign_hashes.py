"""Hashes of other systems: verified, bounded, replaced at the first sign-in (ASVS 11.4.2; SP 800-63B-4 §3.1.1.2; S090, S111)."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from argon2 import PasswordHasher, Type
from hypothesis import example, given
from hypothesis import strategies as st
from identity_world import BY, Server, spooled
from passlib import hash as libpass
from werkzeug.security import generate_password_hash

from idp.errors import Invalid
from idp.identity import foreign_hashes, user_import
from idp.identity.authentication import Attempt, Refused, SignedIn, sign_in
from idp.identity.passwords import Hasher
from idp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

WORD = "lètmein and stay"
SALT = "seasalt"


def coded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def pbkdf2(name: str, password: str, iterations: int, salt: bytes = SALT.encode(), length: int | None = None) -> str:
    return coded(hashlib.pbkdf2_hmac(name, password.encode(), salt, iterations, length))


def django_scrypt(password: str) -> str:
    value = hashlib.scrypt(password.encode(), salt=SALT.encode(), n=1024, r=8, p=5, dklen=64)
    return f"scrypt$1024${SALT}$8$5${coded(value)}"


def django_bcrypt_sha256(password: str) -> str:
    digest = hashlib.sha256(password.encode()).hexdigest().encode()
    return f"bcrypt_sha256${bcrypt.hashpw(digest, bcrypt.gensalt(4)).decode()}"


def plain_bcrypt(password: str, kind: str = "2b") -> str:
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    return made.replace("$2b$", f"${kind}$", 1)


def argon2(kind: Type) -> Callable[[str], str]:
    return PasswordHasher(time_cost=2, memory_cost=512, parallelism=2, hash_len=24, salt_len=8, type=kind).hash


# Made at test time by the other system's own library where there is one here, else from its published format.
MAKERS: dict[str, Callable[[str], str]] = {
    "argon2i": argon2(Type.I),
    "argon2d": argon2(Type.D),
    "argon2id": argon2(Type.ID),
    "django argon2": lambda password: "argon2" + argon2(Type.ID)(password),
    "ldap argon2": lambda password: "{ARGON2}" + argon2(Type.ID)(password),
    "bcrypt 2a": lambda password: plain_bcrypt(password, "2a"),
    "bcrypt 2b": plain_bcrypt,
    "bcrypt 2y": lambda password: plain_bcrypt(password, "2y"),
    "django bcrypt": lambda password: "bcrypt$" + plain_bcrypt(password),
    "django bcrypt_sha256": django_bcrypt_sha256,
    "ldap crypt bcrypt": lambda password: "{CRYPT}" + plain_bcrypt(password),
    "django pbkdf2_sha256": lambda password: f"pbkdf2_sha256$600${SALT}${pbkdf2('sha256', password, 600)}",
    "django pbkdf2_sha1": lambda password: f"pbkdf2_sha1$600${SALT}${pbkdf2('sha1', password, 600)}",
    "keycloak pbkdf2-sha256": lambda password: (
        f"{{PBKDF2-SHA256}}600${coded(b'0123456789abcdef')}${pbkdf2('sha256', password, 600, b'0123456789abcdef', 64)}"
    ),
    "passlib pbkdf2": libpass.pbkdf2_sha1.using(rounds=500).hash,
    "passlib pbkdf2-sha256": libpass.pbkdf2_sha256.using(rounds=500).hash,
    "passlib pbkdf2-sha512": libpass.pbkdf2_sha512.using(rounds=500).hash,
    "ldap pbkdf2": libpass.ldap_pbkdf2_sha1.using(rounds=500).hash,
    "ldap pbkdf2-sha256": libpass.ldap_pbkdf2_sha256.using(rounds=500).hash,
    "ldap pbkdf2-sha512": libpass.ldap_pbkdf2_sha512.using(rounds=500).hash,
    "werkzeug pbkdf2": lambda password: generate_password_hash(password, "pbkdf2:sha256:500"),
    "werkzeug scrypt": lambda password: generate_password_hash(password, "scrypt:1024:8:1"),
    "django scrypt": django_scrypt,
    "passlib scrypt": libpass.scrypt.using(rounds=8).hash,
    "sha256-crypt": libpass.sha256_crypt.using(rounds=1000).hash,
    "sha512-crypt": libpass.sha512_crypt.using(rounds=1000).hash,
    "ldap crypt": lambda password: "{CRYPT}" + libpass.sha512_crypt.using(rounds=1000).hash(password),
    "ldap ssha": libpass.ldap_salted_sha1.hash,
    "ldap ssha256": libpass.ldap_salted_sha256.hash,
    "ldap ssha512": libpass.ldap_salted_sha512.hash,
}
BCRYPT = [name for name in MAKERS if "bcrypt" in name and "sha256" not in name]


@pytest.fixture(scope="module")
def hasher() -> Hasher:
    """The hasher, cheap."""
    return Hasher(Settings(argon2_memory_kib=7168))


@pytest.mark.parametrize("name", MAKERS)
def test_a_hash_of_another_system_opens_and_is_replaced(hasher: Hasher, name: str) -> None:
    """ASVS 11.4.2: the right password is right, a near one is not, and what is stored afterwards is argon2id of today."""
    stored = foreign_hashes.imported(MAKERS[name](WORD))
    assert stored.startswith(foreign_hashes.PREFIX)
    for wrong in (WORD + "x", WORD[:-1], WORD.upper(), f" {WORD}", ""):
        assert hasher.verify(stored, wrong) == (False, None)
    is_right, replacement = hasher.verify(stored, WORD)
    assert is_right
    assert replacement is not None
    assert replacement.startswith("$argon2id$v=19$m=7168,t=1,p=1$")
    assert hasher.verify(replacement, WORD) == (True, None)


# From the specifications themselves.
PUBLISHED = {
    "SHA-crypt, Drepper, 2008 (SHA-256)": ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
    "SHA-crypt, Drepper, 2008 (SHA-512)": (
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    ),
    "bcrypt, Openwall crypt_blowfish": ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    "scrypt, RFC 7914 §12": (
        "password",
        (
            "scrypt:1024:8:16$NaCl$"
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
        ),
    ),
    "PBKDF2, RFC 7914 §11": (
        "passwd",
        (
            "pbkdf2:sha256:1$salt$"
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
            "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        ),
    ),
    "PBKDF2, RFC 6070": ("password", "pbkdf2:sha1:4096$salt$4b007901b765489abead49d926f721d065a429c1"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_vectors(hasher: Hasher, name: str) -> None:
    """RFC 6070, RFC 7914 §11 and §12, the SHA-crypt specification, crypt_blowfish: their own examples open."""
    password, text = PUBLISHED[name]
    assert hasher.verify(foreign_hashes.imported(text), password)[0]
    assert not hasher.verify(foreign_hashes.imported(text), password + "x")[0]


@pytest.mark.parametrize("name", BCRYPT)
def test_s090_what_bcrypt_cut_off_still_opens_and_never_again(hasher: Hasher, name: str) -> None:
    """S090: a hash that was made of 72 bytes opens with the whole password; after it is replaced, a 73-byte twin is another."""
    password = "k" * 71 + "ab"
    stored = foreign_hashes.imported(MAKERS[name](password))
    is_right, replacement = hasher.verify(stored, password)
    assert is_right
    assert hasher.verify(stored, password[:72])[0]
    assert not hasher.verify(stored, password[:71])[0]
    assert hasher.verify(replacement, password)[0]
    assert not hasher.verify(replacement, password[:-1] + "c")[0]
    assert not hasher.verify(replacement, password[:72])[0]


@pytest.mark.parametrize("name", sorted(set(MAKERS) - set(BCRYPT)))
def test_s090_nothing_else_is_cut_off(hasher: Hasher, name: str) -> None:
    """S090: no other kind ignores the end of a password of 73 or 128 bytes, and NUL opens nothing."""
    for length in (73, 128):
        password = "k" * (length - 1) + "a"
        stored = foreign_hashes.imported(MAKERS[name](password))
        assert hasher.verify(stored, password)[0]
        assert not hasher.verify(stored, password[:-1] + "b")[0]
        assert not hasher.verify(stored, password + "\x00")[0]


def test_s090_what_was_hashed_without_normalising_opens_as_it_was_typed(hasher: Hasher) -> None:
    """S090: another system hashed NFD as it came; typed so again it opens, and from then on NFC does too."""
    typed = unicodedata.normalize("NFD", WORD)
    stored = foreign_hashes.imported(MAKERS["werkzeug pbkdf2"](typed))
    is_right, replacement = hasher.verify(stored, typed)
    assert is_right
    assert hasher.verify(replacement, unicodedata.normalize("NFC", WORD))[0]


SIXTEEN = coded(b"0123456789abcdef").rstrip("=")
COSTLY = [
    f"$argon2id$v=19$m=2147483647,t=1,p=1${SIXTEEN}${SIXTEEN}",
    f"$argon2id$v=19$m=65536,t=4294967295,p=1${SIXTEEN}${SIXTEEN}",
    f"$argon2id$v=19$m=65536,t=1,p=16777215${SIXTEEN}${SIXTEEN}",
    "$2b$31$" + "a" * 53,
    "$2b$15$" + "a" * 53,
    f"pbkdf2_sha256$2147483648$salt${SIXTEEN}",
    f"pbkdf2_sha256$2000001$salt${SIXTEEN}",
    f"$pbkdf2-sha512$4294967295${SIXTEEN}${SIXTEEN}",
    f"{{PBKDF2-SHA256}}2147483648${SIXTEEN}${SIXTEEN}",
    f"{{PBKDF2-SHA1}}2000000${SIXTEEN}${coded(b'x' * 100)}",
    "pbkdf2:sha256:2147483648$salt$" + "ab" * 32,
    "scrypt:1073741824:8:1$salt$" + "ab" * 64,
    "scrypt:2:1073741824:1$salt$" + "ab" * 64,
    "scrypt:32768:8:1000$salt$" + "ab" * 64,
    f"$scrypt$ln=99,r=8,p=1${SIXTEEN}${SIXTEEN}",
    f"scrypt$16384$salt$8$99999${SIXTEEN}",
    "$5$rounds=999999999$salt$" + "a" * 43,
    "$6$rounds=1000001$salt$" + "a" * 86,
    "{CRYPT}$6$rounds=999999999$salt$" + "a" * 86,
]


@pytest.mark.parametrize("text", COSTLY)
def test_s111_a_hostile_cost_is_refused_at_import_and_never_computed(hasher: Hasher, text: str) -> None:
    """S111: a hash that asks for hours or gigabytes is refused with its number, and opens nothing where it is stored all the same."""
    with pytest.raises(Invalid, match=r"The password hash .*\d.*\.$"):
        foreign_hashes.imported(text)
    assert hasher.verify(foreign_hashes.PREFIX + text, WORD) == (False, None)


MALFORMED = [
    "",
    "x",
    WORD,
    "$1$salt$abcdefghijklmnopqrstuv",
    "{MD5}" + SIXTEEN,
    "{SSHA}",
    "{SSHA}" + SIXTEEN,
    "{SSHA256}" + coded(b"x" * 32),
    "{SSHA}!!!!",
    "imported:$2b$04$" + "a" * 53,
    "$2b$04$" + "a" * 52,
    "$2x$04$" + "a" * 53,
    "$2b$03$" + "a" * 53,
    "$2b$04$" + "a" * 53 + "\x00",
    "$2b$04$" + "ä" * 53,
    "pbkdf2_sha256$1000$salt$",
    "pbkdf2_sha256$1000$salt$AAAA",
    f"pbkdf2_sha256$0$salt${SIXTEEN}",
    f"pbkdf2_sha256$-5$salt${SIXTEEN}",
    f"pbkdf2_sha256$1e3$salt${SIXTEEN}",
    f"pbkdf2_sha256$١٠٠٠$salt${SIXTEEN}",
    f"pbkdf2_sha256$1000$${SIXTEEN}",
    f"pbkdf2_md5$1000$salt${SIXTEEN}",
    f"pbkdf2_sha256$1000$salt${SIXTEEN}$more",
    "pbkdf2:sha256$salt$" + "ab" * 32,
    "pbkdf2:sha256:1000$salt$xyz",
    "scrypt:1000:8:1$salt$" + "ab" * 64,
    "scrypt:0:8:1$salt$" + "ab" * 64,
    "scrypt:1024:0:1$salt$" + "ab" * 64,
    "$scrypt$ln=0,r=8,p=1$AAAA$" + SIXTEEN,
    "$argon2id$v=19$m=0,t=0,p=0$" + SIXTEEN + "$" + SIXTEEN,
    "$argon2id$v=19$m=512,t=1,p=1$" + SIXTEEN + "$",
    "$argon2id$v=19$m=512,t=1,p=1$" + SIXTEEN + "$AAAA",
    "$argon2x$v=19$m=512,t=1,p=1$" + SIXTEEN + "$" + SIXTEEN,
    "$5$rounds=999$salt$" + "a" * 43,
    "$5$salt$" + "a" * 42,
    "$6$rounds=00005000$salt$" + "a" * 86,
    "{CRYPT}" * 140 + "x",
    "$2b$04$" + "a" * 2000,
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_hash_is_refused_with_a_sentence(hasher: Hasher, text: str) -> None:
    """S090: empty and short digests (which anything would match), unknown kinds and broken forms: refused, and open nothing."""
    with pytest.raises(Invalid, match=r"^The password hash .*\.$"):
        foreign_hashes.imported(text)
    for password in ("", "x", WORD):
        assert hasher.verify(foreign_hashes.PREFIX + text, password) == (False, None)


STARTS = sorted({start for start, _ in foreign_hashes._FORMATS})


@given(st.sampled_from(STARTS), st.text("$:{}=,rounds0159./+AZaz-\x00é", max_size=80))
@example("$2b$04$", "a" * 53)
def test_any_text_is_a_hash_or_refused(start: str, rest: str) -> None:
    """Product rule: every input is hostile: whatever stands in the column, reading it ends in a hash or a sentence."""
    try:
        stored = foreign_hashes.imported(start + rest)
    except Invalid:
        return
    assert foreign_hashes.verify(stored, ["x"]) in (False, True)


class Counting:
    """The real argon2, counted."""

    def __init__(self, real: Any) -> None:
        self.real, self.verified, self.hashed = real, 0, 0

    def verify(self, stored: str, password: bytes) -> bool:
        self.verified += 1
        return bool(self.real.verify(stored, password))

    def hash(self, password: bytes) -> str:
        self.hashed += 1
        return str(self.real.hash(password))


@pytest.mark.parametrize("text", ["hash", "broken"])
def test_a_foreign_hash_costs_no_less_than_one_of_ours(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Security rule 7: a wrong password for an imported account is one argon2id more, as for an unknown account; a right one too."""
    stored = foreign_hashes.PREFIX + (MAKERS["ldap ssha"](WORD) if text == "hash" else text)
    hasher = Hasher(Settings(argon2_memory_kib=7168))
    counting = Counting(hasher._argon2)
    monkeypatch.setattr(hasher, "_argon2", counting)
    assert hasher.verify(stored, "wrong") == (False, None)
    assert (counting.verified, counting.hashed) == (1, 0)
    if text == "hash":
        assert hasher.verify(stored, WORD)[0]
        assert (counting.verified, counting.hashed) == (1, 1)


def bring_in(server: Server, name: str, **more: Any) -> str:
    """An imported account ada; returns what is stored."""
    row = {"email": "ada@acme.example", "password_hash": MAKERS[name](WORD), **more}
    user_import.store(server.database, [user_import.person(row)], by=BY, details={})
    return stored_hash(server)


def stored_hash(server: Server) -> str:
    """The stored hash of the one user."""
    return str(server.rows("SELECT password_hash FROM users")[0].password_hash)


def attempt(server: Server, password: str) -> SignedIn | Refused:
    """Try to sign in as ada."""
    return sign_in(server, Attempt("ada@acme.example", password, "192.0.2.1", "C" * 16), lambda _c, _u: None)


@pytest.mark.parametrize("name", ["bcrypt 2y", "django pbkdf2_sha256", "werkzeug scrypt", "sha512-crypt", "argon2i"])
def test_the_first_sign_in_replaces_the_hash(any_server: Server, name: str) -> None:
    """ASVS 11.4.2: nobody is asked for a new password; after the first sign-in no foreign hash is left."""
    before = bring_in(any_server, name)
    assert isinstance(attempt(any_server, WORD + "x"), Refused)
    assert stored_hash(any_server) == before
    for _ in range(2):
        assert isinstance(attempt(any_server, WORD), SignedIn)
        assert stored_hash(any_server).startswith("$argon2id$")


def test_a_disabled_account_that_was_brought_in_stays_shut(any_server: Server) -> None:
    """Security rule 7: an imported account that is disabled is refused like any other, and its hash is not replaced."""
    before = bring_in(any_server, "bcrypt 2b", state="disabled")
    found = attempt(any_server, WORD)
    assert isinstance(found, Refused)
    assert found.reason == "disabled_account"
    assert stored_hash(any_server) == before
    assert len(spooled(any_server, "login.failed")) == 1

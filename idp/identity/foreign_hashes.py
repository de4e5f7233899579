"""Password hashes that other systems made: read, bounded and verified, so that people who move here keep their passwords.

Such a hash is stored as it came, behind a prefix of its own, until its owner signs in; then argon2id takes its place. What a
hash may cost is bounded when it is imported and again when it is verified: a hash that asks for 2³¹ rounds is never computed.
SHA-crypt is libpass's (Python 3.13 has no crypt(3) any more), bcrypt and argon2 are their libraries', the rest is hashlib.
Must not know accounts; :class:`idp.identity.passwords.Hasher` calls it in its turn.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NoReturn

from argon2 import extract_parameters
from argon2.exceptions import Argon2Error
from argon2.low_level import verify_secret

from idp.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Check = Callable[[bytes], bool]

PREFIX = "imported:"
LONGEST = 1024  # characters of a hash
SHORTEST_DIGEST, LONGEST_DIGEST = 16, 128  # bytes
LONGEST_SALT = 256  # bytes
# What one verification may cost, in each case one to two seconds of one core.
MOST_PBKDF2 = 2_000_000  # iterations, all blocks of the digest together
MOST_BCRYPT = 14  # the cost, a power of two
MOST_SCRYPT_MEMORY = 64 << 20  # bytes
MOST_SCRYPT_WORK = 1 << 20  # N·r·p
MOST_ARGON2_KIB = 128 << 10
MOST_ARGON2_WORK = 512 << 10  # KiB·passes
MOST_ARGON2_LANES = 16
MOST_SHA_CRYPT = 1_000_000  # rounds

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$(?:v=(?:16|19)\$)?m=[0-9]{1,10},t=[0-9]{1,10},p=[0-9]{1,8}\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)",
    re.ASCII,
)
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII)
_SHA_CRYPT = re.compile(r"\$([56])\$(?:rounds=([1-9][0-9]{3,9})\$)?[./A-Za-z0-9]{1,16}\$([./A-Za-z0-9]+)", re.ASCII)
_PHC_SCRYPT = re.compile(r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,5}),p=([0-9]{1,5})\$([^$]+)\$([^$]+)", re.ASCII)
_DIGESTS = {"sha1": 20, "sha256": 32, "sha512": 64}
_BCRYPT_BYTES = 72


def imported(text: str) -> str:
    """Return what is stored for a hash of another system; raises :class:`Invalid` for one that cannot be verified here."""
    text = text.strip()
    _reader(text)
    return PREFIX + text


def is_foreign(stored: str) -> bool:
    """Say whether a stored hash is another system's."""
    return stored.startswith(PREFIX)


def verify(stored: str, passwords: Iterable[str]) -> bool:
    """Say whether a stored foreign hash belongs to one of a password's spellings; False for a hash that cannot be read."""
    try:
        check = _reader(stored.removeprefix(PREFIX))
        return any(check(password.encode()) for password in dict.fromkeys(passwords))
    except (Invalid, ValueError, Argon2Error):
        return False


def _reader(text: str) -> Check:
    """Return the check that a hash asks for; raises :class:`Invalid`."""
    if len(text) > LONGEST or not text.isascii() or not text.isprintable():
        _refuse("is not one line of at most 1024 printable ASCII characters")
    read = next((read for start, read in _FORMATS if text.startswith(start)), None)
    if read is None:
        _refuse("is of a kind that is not known here; argon2, bcrypt, PBKDF2, scrypt, SHA-crypt and SSHA are")
    return read(text)


def _refuse(what: str) -> NoReturn:
    raise Invalid(f"The password hash {what}.", errors={"password_hash": what})


def _argon2(text: str) -> Check:
    match = _ARGON2.fullmatch(text)
    if match is None:
        _refuse("is no argon2 hash in the PHC string format")
    found = extract_parameters(text)
    _salted(_bytes(match[1]))
    _sized(len(_bytes(match[2])))
    work = found.memory_cost * found.time_cost
    if not (0 < found.memory_cost <= MOST_ARGON2_KIB and 0 < work <= MOST_ARGON2_WORK):
        _refuse(
            f"costs {found.memory_cost} KiB {found.time_cost} times; {MOST_ARGON2_KIB} KiB and {MOST_ARGON2_WORK} KiB in all are the most"
        )
    if not 0 < found.parallelism <= MOST_ARGON2_LANES:
        _refuse(f"has {found.parallelism} lanes; 1 to {MOST_ARGON2_LANES} are possible")

    def check(password: bytes) -> bool:
        try:
            return verify_secret(text.encode(), password, found.type)
        except Argon2Error:
            return False

    return check


def _bcrypt(text: str) -> Check:
    match = _BCRYPT.fullmatch(text)
    if match is None:
        _refuse("is no bcrypt hash of the kinds $2a$, $2b$ and $2y$")
    if not 4 <= int(match[1]) <= MOST_BCRYPT:
        _refuse(f"has the bcrypt cost {int(match[1])}; 4 to {MOST_BCRYPT} are possible")

    def check(password: bytes) -> bool:
        import bcrypt

        # Whoever made the hash used no more than these bytes; only for such a hash is anything ever cut off.
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], text.encode())

    return check


def _bcrypt_sha256(text: str) -> Check:
    check = _bcrypt(text.removeprefix("bcrypt_sha256$"))
    return lambda password: check(hashlib.sha256(password).hexdigest().encode())


def _django_pbkdf2(text: str) -> Check:
    name, iterations, salt, digest = _parts(text, 4)
    return _pbkdf2(name.removeprefix("pbkdf2_"), iterations, salt.encode(), _bytes(digest))


def _passlib_pbkdf2(text: str) -> Check:
    _, name, iterations, salt, digest = _parts(text, 5)
    return _pbkdf2(name.removeprefix("pbkdf2").removeprefix("-") or "sha1", iterations, _bytes(salt), _bytes(digest))


def _ldap_pbkdf2(text: str) -> Check:
    name, _, rest = text[1:].partition("}")
    iterations, salt, digest = _parts(rest, 3)
    return _pbkdf2(name[len("PBKDF2") :].lower().removeprefix("-") or "sha1", iterations, _bytes(salt), _bytes(digest))


def _werkzeug_pbkdf2(text: str) -> Check:
    method, salt, digest = _parts(text, 3)
    _, name, iterations = _parts(method, 3, ":")
    return _pbkdf2(name, iterations, salt.encode(), _bytes_of_hex(digest))


def _pbkdf2(name: str, iterations: str, salt: bytes, digest: bytes) -> Check:
    if name not in _DIGESTS:
        _refuse("is a PBKDF2 hash with another function than SHA-1, SHA-256 and SHA-512")
    rounds, length = _number(iterations), _sized(len(digest))
    _salted(salt)
    work = rounds * -(-length // _DIGESTS[name])
    if not 0 < work <= MOST_PBKDF2:
        _refuse(f"has {work} iterations of PBKDF2; 1 to {MOST_PBKDF2} are possible")
    return lambda password: hmac.compare_digest(hashlib.pbkdf2_hmac(name, password, salt, rounds, length), digest)


def _werkzeug_scrypt(text: str) -> Check:
    method, salt, digest = _parts(text, 3)
    _, n, r, p = _parts(method, 4, ":")
    return _scrypt(_number(n), _number(r), _number(p), salt.encode(), _bytes_of_hex(digest))


def _django_scrypt(text: str) -> Check:
    _, n, salt, r, p, digest = _parts(text, 6)
    return _scrypt(_number(n), _number(r), _number(p), salt.encode(), _bytes(digest))


def _passlib_scrypt(text: str) -> Check:
    match = _PHC_SCRYPT.fullmatch(text)
    if match is None:
        _refuse("is no scrypt hash that can be read")
    return _scrypt(1 << int(match[1]), int(match[2]), int(match[3]), _bytes(match[4]), _bytes(match[5]))


def _scrypt(n: int, r: int, p: int, salt: bytes, digest: bytes) -> Check:
    length = _sized(len(digest))
    _salted(salt)
    if n < 2 or n & (n - 1) or not (r and p):
        _refuse("is a scrypt hash whose parameters are impossible")
    memory = 128 * n * r
    if memory > MOST_SCRYPT_MEMORY or n * r * p > MOST_SCRYPT_WORK:
        _refuse(
            f"takes {memory >> 20} MiB of memory {p} times; {MOST_SCRYPT_MEMORY >> 20} MiB and N·r·p = {MOST_SCRYPT_WORK} are the most"
        )
    room = memory + 128 * r * p + (1 << 20)

    def check(password: bytes) -> bool:
        found = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=room, dklen=length)
        return hmac.compare_digest(found, digest)

    return check


def _sha_crypt(text: str) -> Check:
    match = _SHA_CRYPT.fullmatch(text)
    if match is None or len(match[3]) != {"5": 43, "6": 86}[match[1]]:
        _refuse("is no SHA-crypt hash that can be read")
    if match[2] is not None and int(match[2]) > MOST_SHA_CRYPT:
        _refuse(f"has {match[2]} rounds of SHA-crypt; 1000 to {MOST_SHA_CRYPT} are possible")

    def check(password: bytes) -> bool:
        from passlib.handlers.sha2_crypt import sha256_crypt, sha512_crypt  # type: ignore[import-untyped]

        return bool({"5": sha256_crypt, "6": sha512_crypt}[match[1]].verify(password, text))

    return check


def _salted_sha(text: str) -> Check:
    name, _, rest = text[1:].partition("}")
    function = {"SSHA": "sha1", "SSHA256": "sha256", "SSHA512": "sha512"}[name]
    found, length = _bytes(rest), _DIGESTS[function]
    digest, salt = found[:length], found[length:]
    if len(digest) != length:
        _refuse("is too short for its kind")
    _salted(salt)
    return lambda password: hmac.compare_digest(hashlib.new(function, password + salt).digest(), digest)


def _wrapped(start: str) -> Callable[[str], Check]:
    return lambda text: _reader(text.removeprefix(start))


_FORMATS: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("$argon2", _argon2),
    ("argon2$", _wrapped("argon2")),  # Django
    ("{ARGON2}", _wrapped("{ARGON2}")),  # OpenLDAP
    ("{CRYPT}", _wrapped("{CRYPT}")),  # LDAP
    ("$2", _bcrypt),
    ("bcrypt$$", _wrapped("bcrypt$")),  # Django
    ("bcrypt_sha256$$", _bcrypt_sha256),  # Django
    ("pbkdf2_", _django_pbkdf2),
    ("$pbkdf2", _passlib_pbkdf2),
    ("pbkdf2:", _werkzeug_pbkdf2),
    ("{PBKDF2", _ldap_pbkdf2),
    ("scrypt:", _werkzeug_scrypt),
    ("scrypt$", _django_scrypt),
    ("$scrypt$", _passlib_scrypt),
    ("$5$", _sha_crypt),
    ("$6$", _sha_crypt),
    ("{SSHA}", _salted_sha),
    ("{SSHA256}", _salted_sha),
    ("{SSHA512}", _salted_sha),
)


def _parts(text: str, count: int, separator: str = "$") -> list[str]:
    found = text.split(separator)
    if len(found) != count:
        _refuse("does not have the parts that its kind has")
    return found


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        _refuse("has something else where its kind has a number")
    return int(text)


def _bytes(text: str) -> bytes:
    """Return what base64 stands for; with or without padding, and with passlib's ``.`` for ``+``."""
    plain = text.rstrip("=").replace(".", "+")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        _refuse("has something else where its kind has base64")


def _bytes_of_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except binascii.Error:
        _refuse("has something else where its kind has hexadecimal digits")


def _sized(length: int) -> int:
    if not SHORTEST_DIGEST <= length <= LONGEST_DIGEST:
        _refuse(f"has a value of {length} bytes; {SHORTEST_DIGEST} to {LONGEST_DIGEST} are possible")
    return length


def _salted(salt: bytes) -> None:
    if not 0 < len(salt) <= LONGEST_SALT:
        _refuse(f"has a salt of {len(salt)} bytes; 1 to {LONGEST_SALT} are possible")

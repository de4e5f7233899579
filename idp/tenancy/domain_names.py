"""Which host names a tenant may say are its own: names of the public DNS that nobody else can be meant by, in their ASCII form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import idna

from idp.errors import Invalid
from idp.tenancy.issuer import check_domain

if TYPE_CHECKING:
    from idp.settings import Settings

CHALLENGE_LABEL = "_authsec-challenge"
# RFC 1035 §2.3.4: a name has at most 253 characters as it is written, and the challenge's stands before this one.
LONGEST = 253 - len(CHALLENGE_LABEL) - 1
# Names that have no owner in the DNS: RFC 6761, RFC 6762, RFC 7686, RFC 3172.
_NOBODYS = frozenset({"localhost", "local", "onion", "invalid", "arpa"})
# Below these, in the domains of countries, everybody may register: co.uk, com.au, ac.jp. Whoever holds one of them is a registry.
_REGISTRIES = re.compile(
    "ac|com?|edu|firm|gen|go|gob|gouv|govt?|gub|id|info|ltd|me|mil|mod|net?|nhs|nom|org?|plc|police|pro|res|sch|school",
    re.ASCII,
)


def checked(settings: Settings, text: str) -> str:
    """Return a host name in its ASCII form and lower case; raises :class:`Invalid` with a sentence."""
    try:
        # RFC 5891, with the mapping of UTS 46 that browsers apply to what people type.
        name = idna.encode(text.strip().rstrip("."), uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise Invalid("A domain is a host name such as login.example.com.") from None
    name = check_domain(name)
    labels = name.split(".")
    if ":" in name or len(name) > LONGEST or labels[-1].isdigit():
        raise Invalid(f"A domain is a host name of at most {LONGEST} characters, not an address and without a port.")
    if labels[-1] in _NOBODYS:
        raise Invalid(f"Names below {labels[-1]} have no owner in the DNS.")
    if len(labels) == 2 and len(labels[1]) == 2 and _REGISTRIES.fullmatch(labels[0]):
        raise Invalid(f"Everybody may register names below {name}; it is nobody's own.")
    for own in (urlsplit(settings.public_url).hostname or "", settings.tenant_domain):
        if own and (name == own or name.endswith(f".{own}")):
            raise Invalid("This domain is the platform's own.")
    return name


def shown(host: str) -> str:
    """Return a host name as people write it, with the letters of its language."""
    try:
        return idna.decode(host)
    except (idna.IDNAError, UnicodeError):
        return host


def challenge_name(host: str) -> str:
    """Return the name at which the DNS must have the challenge of a host."""
    return f"{CHALLENGE_LABEL}.{host}"

"""Asking the DNS for a challenge: by the name servers of the settings or the system's, briefly, few at a time.

Whatever goes wrong is a sentence for the person who makes the record: what was found, and what to do. Every answer is hostile input.
"""

from __future__ import annotations

import hmac
import threading
from typing import TYPE_CHECKING, Any

from idp import audit
from idp.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.settings import Settings

A_TRY, IN_ALL = 1.5, 4.0  # seconds
AT_ONCE = 2  # lookups of one process; each holds a thread
MOST_RECORDS = 100  # that are looked at
MOST_SHOWN, LONGEST_SHOWN = 3, 100
UDP_SIZE = 1232  # bytes; what is larger comes by TCP (DNS flag day 2020)


class Lookup:
    """Looks for challenges; one a process."""

    def __init__(self, settings: Settings) -> None:
        """Keep which name servers are asked."""
        self._servers = settings.dns_resolvers
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def trouble_with(self, name: str, challenge: str) -> str | None:
        """Return why a name does not prove anything, None when one of its TXT records is the challenge."""
        if not self._room.acquire(blocking=False):
            raise Unavailable("Others are asking the DNS just now; try again in a moment.", retry_after=4)
        try:
            return self._asked(name, challenge)
        finally:
            self._room.release()

    def _asked(self, name: str, challenge: str) -> str | None:
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            answer = self._resolver().resolve(dns.name.from_text(name), "TXT", search=False)
        except dns.resolver.NXDOMAIN:
            return (
                f"The DNS has no name {name}. Make the TXT record there; until everybody sees a new record it may take as long as the "
                "zone lets others remember that there was none."
            )
        except dns.resolver.NoAnswer:
            return f"The name {name} is there, and has no TXT record."
        except dns.resolver.LifetimeTimeout:
            return f"The name servers have not answered for {name} in {IN_ALL:g} seconds. Try again."
        except dns.resolver.NoNameservers as error:
            return f"The name servers could not answer for {name} ({_codes(error)}). See whether the zone is served, and signed, rightly."
        except dns.resolver.NoResolverConfiguration:
            return "This installation knows no name server; its operators set IDP_DNS_RESOLVERS."
        except dns.exception.DNSException as error:
            return f"What the DNS says for {name} cannot be followed ({type(error).__name__})."
        # RFC 1035 §3.3.14: a record is one or more strings; RFC 7208 §3.3 and everybody after it read them as one.
        texts = [b"".join(record.strings) for record in list(answer)[:MOST_RECORDS]]
        if any(hmac.compare_digest(text.strip(), challenge.encode()) for text in texts):
            return None
        if answer.canonical_name != answer.qname:
            # Whoever owns the name chose where it leads, to names that perhaps only this server can ask for: they are not read out.
            return f"The name {name} leads to {answer.canonical_name.to_text(omit_final_dot=True)}, where no TXT record is the value."
        return _instead(name, texts)

    def _resolver(self) -> Any:
        import dns.nameserver
        import dns.resolver

        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._servers]
        resolver.timeout, resolver.lifetime = A_TRY, IN_ALL
        resolver.use_edns(0, 0, UDP_SIZE)
        return resolver


def _instead(name: str, texts: Sequence[bytes]) -> str:
    shown = [
        audit.clean(text[: 4 * LONGEST_SHOWN].decode("utf-8", "replace"), LONGEST_SHOWN) for text in texts[:MOST_SHOWN]
    ]
    listed = ", ".join(f"“{text}”" for text in shown)
    more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
    count = "There is a TXT record" if len(texts) == 1 else f"There are {len(texts)} TXT records"
    return f"{count} at {name}, and none is the value: {listed}{more}."


def _codes(error: Any) -> str:
    """Return what the name servers said, such as SERVFAIL, without their addresses."""
    import dns.rcode

    found = []
    for *_, trouble, response in error.kwargs.get("errors", ()):
        found.append(dns.rcode.to_text(response.rcode()) if response is not None else _word(trouble))
    return ", ".join(dict.fromkeys(found)) or "no answer"


def _word(trouble: object) -> str:
    return trouble if isinstance(trouble, str) and trouble.isupper() else "no readable answer"

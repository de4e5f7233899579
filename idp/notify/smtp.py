"""Handing a mail to a mail server (RFC 5321): TLS unless the server is on this machine (RFC 3207, RFC 8314), an end to all waiting.

A reply to the sender, the recipient or the message decides: 2xx delivered, 5xx refused for good, 4xx to be tried again. Everything
else (no connection, no TLS, a wrong password) is trouble that may pass. Words for the ledger hold reply codes, never a server's text.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from idp.errors import Invalid
from idp.outbound import FetchFailed
from idp.settings import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from idp.notify.message import Posted
    from idp.outbound import Outbound

CONNECT_SECONDS, SECONDS = 5.0, 10.0
WHOLE_SECONDS = 25.0  # for one message with everything; less than the lease of an attempt
MOST_ADDRESSES = 3
MOST_REPLIES = 64 * 1024  # bytes that a server may say in all
LONGEST_URL = 1000
# RFC 4954 §6: these say that the server wants to know who sends, or did not believe it: no fault of the message.
_ABOUT_LOGIN = (530, 534, 535, 538)
_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")  # RFC 3463
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt, in words; ``is_alone`` when a failure is the message's own and says nothing of others."""

    verdict: Literal["delivered", "refused", "failed"]
    words: str
    address: str | None = None
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server: ``smtps`` is TLS from the first byte, ``smtp`` asks for it (and must get it, but on this machine)."""

    scheme: str
    host: str
    port: int
    user: str
    password: str

    @property
    def shown(self) -> str:
        """The address without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def may_be_plain(self) -> bool:
        """Whether nobody can listen on the way."""
        return self.scheme == "smtp" and self.host in LOOPBACK_HOSTS


def parse(url: str) -> Server:
    """Return the server that ``smtp://[user:password@]host[:port]`` or ``smtps://…`` names; raises :class:`Invalid`.

    User and password are percent-encoded where they contain a character that has a meaning in a URL.
    """
    if len(url) > LONGEST_URL or not all("!" <= letter <= "~" for letter in url):
        raise Invalid("The mail server's address is not a URL of visible ASCII characters.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Invalid("The mail server's address has no valid host and port.") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme not in ("smtp", "smtps"):
        raise Invalid("The mail server's address must start with smtp:// or smtps://.")
    if not _HOST.fullmatch(host) or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Invalid("The mail server's address must be smtp://user:password@host:port, without anything behind it.")
    if bool(user) != bool(password):
        raise Invalid("The mail server's address must name both user and password, or neither.")
    if not (user + password).isascii() or not (user + password).isprintable():
        raise Invalid("User and password of the mail server must be of visible ASCII characters.")
    return Server(parts.scheme, host, port or (465 if parts.scheme == "smtps" else 587), user, password)


def own_name(public_url: str) -> str:
    """Return the name by which this installation greets mail servers (RFC 5321 §4.1.1.1)."""
    return urlsplit(public_url).hostname or "localhost"


def send(server: Server, mail: Posted, outbound: Outbound, *, hello: str, may_be_private: bool) -> Outcome:
    """Hand over a mail and say what became of it; ``hello`` is the name of this machine, ``may_be_private`` as for ``resolve``."""
    return _tried(server, mail, outbound, hello=hello, may_be_private=may_be_private)


def trouble(server: Server, outbound: Outbound, *, hello: str, may_be_private: bool) -> str | None:
    """Return what keeps a server from taking mails, in words, or None: everything is done but to name a sender."""
    outcome = _tried(server, None, outbound, hello=hello, may_be_private=may_be_private)
    return None if outcome.verdict == "delivered" else outcome.words


def _tried(server: Server, mail: Posted | None, outbound: Outbound, *, hello: str, may_be_private: bool) -> Outcome:
    attempt = _Attempt(server, outbound, hello)
    try:
        attempt.connect(may_be_private=may_be_private)
        attempt.get_ready()
        words = attempt.hand_over(mail) if mail is not None else ""
    except _Verdict as verdict:
        return Outcome(verdict.verdict, verdict.words, server.shown, verdict.is_alone)
    except FetchFailed as error:
        return Outcome("failed", f"no connection to the mail server: {error}", server.shown)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return Outcome("failed", attempt.trouble(error), server.shown)
    finally:
        attempt.close()
    return Outcome("delivered", words, server.shown)


class _Verdict(Exception):
    """A reply that ends the attempt."""

    def __init__(self, verdict: Literal["refused", "failed"], words: str, *, is_alone: bool = False) -> None:
        super().__init__(words)
        self.verdict, self.words, self.is_alone = verdict, words, is_alone


class _Bounded:
    """A server's replies, of which there is an end."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MOST_REPLIES

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the server talks without end")
        # Half a line is no reply: of "250" cut off nobody knows what it was to be.
        return line if line.endswith(b"\n") else b""

    def close(self) -> None:
        self._file.close()


class _Client(smtplib.SMTP):
    """smtplib's client, on a connection that was made elsewhere."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(self.sock.makefile("rb"))
        return super().getreply()


class _Attempt:
    """One connection for one mail."""

    def __init__(self, server: Server, outbound: Outbound, hello: str) -> None:
        self._server, self._outbound = server, outbound
        self._client = _Client(local_hostname=hello, timeout=SECONDS)
        self._line: socket.socket | None = None
        self._stage = "the connection"
        self._deadline = time.monotonic() + WHOLE_SECONDS
        # Each read may take as long as its time limit: only a watch ends a server that drips.
        self._watch = threading.Timer(WHOLE_SECONDS, self._hang_up)
        self._watch.daemon = True
        self._watch.start()

    def connect(self, *, may_be_private: bool) -> None:
        """Reach the server at one of its addresses, and hear its greeting."""
        server = self._server
        addresses = self._outbound.resolve(
            server.host, server.port, seconds=CONNECT_SECONDS, may_be_private=may_be_private
        )
        for number, address in enumerate(addresses[:MOST_ADDRESSES], 1):
            try:
                self._line = socket.create_connection((address, server.port), CONNECT_SECONDS)
                break
            except OSError:
                if number == len(addresses[:MOST_ADDRESSES]):
                    raise
        self._client.sock = self._line
        if server.scheme == "smtps":
            self._encrypt()
        if self._line is not None:
            self._line.settimeout(SECONDS)
        code, text = self._client.getreply()
        self._require(code, text, 220)

    def get_ready(self) -> None:
        """Greet, encrypt, and say who sends."""
        client, server = self._client, self._server
        self._stage = "the greeting"
        client.ehlo_or_helo_if_needed()
        if server.scheme == "smtp" and not server.may_be_plain:
            self._stage = "STARTTLS"
            if not client.has_extn("starttls"):
                raise _Verdict("failed", "the mail server offers no encryption (STARTTLS); nothing is sent in clear")
            self._require(*client.docmd("STARTTLS"), 220)
            self._encrypt()
            # What came before is of no account: somebody on the way may have put it there (RFC 3207 §4.2).
            client.file = None
            client.ehlo()
        if server.user:
            self._stage = "the login"
            try:
                client.login(server.user, server.password)
            except smtplib.SMTPNotSupportedError:
                raise _Verdict("failed", "the mail server offers no way to log in that is known here") from None
            except smtplib.SMTPAuthenticationError as error:
                status = _status(error.smtp_code, error.smtp_error)
                raise _Verdict("failed", f"the mail server does not accept user and password: {status}") from None

    def hand_over(self, mail: Posted) -> str:
        """Send the mail; returns the server's status."""
        client = self._client
        options = []
        if mail.needs_utf8:
            if not client.has_extn("smtputf8"):
                raise _Verdict("refused", "the mail server takes no addresses that are not ASCII")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        self._stage = "the sender"
        self._judge(*client.mail(mail.sender, options))
        self._stage = "the recipient"
        self._judge(*client.rcpt(mail.recipient))
        self._stage = "the message"
        try:
            code, text = client.data(mail.message)
        except smtplib.SMTPDataError as error:
            code, text = error.smtp_code, _bytes(error.smtp_error)
        self._judge(code, text)
        return _status(code, text)

    def close(self) -> None:
        """Take leave without waiting for an answer; whatever happens here, the mail's fate is decided."""
        self._watch.cancel()
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self._client.putcmd("QUIT")
        with contextlib.suppress(OSError):
            self._client.close()

    def trouble(self, error: Exception) -> str:
        """Return what kept the attempt from a reply, in words."""
        if time.monotonic() >= self._deadline:
            return f"the mail server was not done within {WHOLE_SECONDS:g} seconds ({self._stage})"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the mail server's certificate is not trusted: {error.verify_message.rstrip('.')}"
        if isinstance(error, ssl.SSLError):
            return "there is no encrypted connection to the mail server (TLS)"
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            return f"the mail server did not answer in time ({self._stage})"
        if isinstance(error, smtplib.SMTPResponseException):
            return f"the mail server answered {_status(error.smtp_code, error.smtp_error)} ({self._stage})"
        if self._line is None:
            return f"no connection to the mail server ({type(error).__name__})"
        return f"the mail server hung up, or what it said makes no sense ({self._stage})"

    def _encrypt(self) -> None:
        line = self._client.sock
        if line is None:  # not possible: there is a connection
            raise OSError("not connected")
        line.settimeout(CONNECT_SECONDS if self._stage == "the connection" else SECONDS)
        self._line = self._client.sock = self._outbound.tls().wrap_socket(line, server_hostname=self._server.host)

    def _require(self, code: int, text: bytes, expected: int) -> None:
        if code != expected:
            raise _Verdict("failed", f"the mail server answered {_status(code, text)} ({self._stage})")

    def _judge(self, code: int, text: bytes) -> None:
        if 200 <= code < 300:
            return
        status = _status(code, text)
        if code in _ABOUT_LOGIN:
            raise _Verdict("failed", f"the mail server wants a login: {status}")
        if 500 <= code < 600:
            raise _Verdict("refused", f"the mail server refused {self._stage}: {status}")
        # RFC 5321 §3.8: 421 means that the server is going away, which concerns everybody.
        is_alone = code != 421 and self._stage != "the sender"
        raise _Verdict("failed", f"the mail server does not take {self._stage} now: {status}", is_alone=is_alone)

    def _hang_up(self) -> None:
        line = self._line
        if line is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)


def _status(code: int, text: bytes | str) -> str:
    """Return a reply's code and its enhanced code, if it has one; nothing else that was received."""
    enhanced = _ENHANCED.match(_bytes(text))
    return f"{code} {enhanced[0].decode()}" if enhanced else str(code)


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")

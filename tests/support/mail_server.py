"""Mail servers on loopback: one that keeps what it gets and replies as it is told, and one that says raw bytes or nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path

USER, PASSWORD = "relay", "planted: mail password"


@dataclass
class Received:
    """A mail that was accepted."""

    sender: str
    recipients: list[str]
    content: bytes
    is_encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[return-value]

    def part(self, kind: str) -> str:
        """The text of a part, ``plain`` or ``html``."""
        found = self.message.get_body((kind,))
        assert found is not None
        return str(found.get_content())


@dataclass
class MailServer:
    """An SMTP server; ``replies`` has, by command (MAIL, RCPT, DATA), what it answers next, and ``by_recipient`` always."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: tuple[Path, Path] | None = None
    is_implicit: bool = False
    wants_login: bool = False
    replies: dict[str, list[str]] = field(default_factory=dict)
    by_recipient: dict[str, str] = field(default_factory=dict)
    mails: list[Received] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    _controller: Any = None

    @property
    def url(self) -> str:
        return f"smtp{'s' * self.is_implicit}://{self.host}:{self.port}"

    @property
    def url_with_login(self) -> str:
        return self.url.replace("://", f"://{USER}:{PASSWORD.replace(' ', '%20').replace(':', '%3A')}@")

    def __enter__(self) -> Self:
        self.port = self.port or free_port(self.host)
        context = None
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, self.certificate))
        options: dict[str, Any] = {"auth_require_tls": False, "enable_SMTPUTF8": False}
        if context is not None and not self.is_implicit:
            options |= {"tls_context": context, "require_starttls": True}
        if self.wants_login:
            options |= {"authenticator": self._login, "auth_required": True}
        self._controller = Controller(
            self, hostname=self.host, port=self.port, ssl_context=context if self.is_implicit else None, **options
        )
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def _login(self, _server: SMTP, session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        is_right = self.logins[-1] == (USER, PASSWORD)
        session.login_name = data.login.decode()  # type: ignore[attr-defined]
        return AuthResult(success=is_right, handled=False)

    def _next(self, command: str, otherwise: str) -> str:
        self.commands.append(command)
        waiting = self.replies.get(command)
        return waiting.pop(0) if waiting else otherwise

    async def handle_MAIL(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._next("MAIL", "250 2.1.0 OK")
        if reply.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        reply = self.by_recipient.get(address) or self._next("RCPT", "250 2.1.5 OK")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        reply = self._next("DATA", "250 2.0.0 queued as 4711")
        if reply.startswith("2"):
            content = envelope.original_content
            assert content is not None
            is_encrypted = session.ssl is not None or self.is_implicit
            user = getattr(session, "login_name", None)
            self.mails.append(Received(envelope.mail_from or "", envelope.rcpt_tos, content, is_encrypted, user))
        return reply


class RawServer:
    """A listener that gives each connection to a function, in a thread; ``heard`` counts connections."""

    def __init__(self, talk: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        self._talk, self._socket = talk, socket.create_server((host, 0), backlog=128)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.release, self.heard = threading.Event(), 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.heard += 1
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            self._talk(line)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])

"""The WSGI side of the two doors (PEP 3333): from our Request to an environ and back, and the same guard for `wsgi.py`.

Owns the environ (forwarded headers, `Proxy` and names with underscores removed), the collecting of a WSGI answer, and
`guarded`, which gives a WSGI server behind a buffering proxy the front's checks. Must not know Flask or an endpoint.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

from idp.errors import IdpError
from idp.opaque import new_correlation_id
from idp.web.entrance import MAX_BODY_BYTES, AmbiguousLength, BodyTooLarge, Entrance
from idp.web.headers import HSTS
from idp.web.http import Headers, Request, Response
from idp.web.logs import get_logger
from idp.web.problems import InternalError, problem, refusal
from idp.web.proxies import FORWARDED_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from idp.settings import Settings
    from idp.web.problems import OnRefusal

    StartResponse = Callable[..., Callable[[bytes], object]]
    WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

REQUEST_KEY = "idp.request"
STREAM_KEY = "idp.stream"  # where an application leaves the parts of an answer that is too long to be held
_unforwarded = FORWARDED_HEADERS | {"proxy", "host", "content-type", "content-length", "transfer-encoding"}
# Of these the connection's own framing decides, never the application.
_framing = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer"})


def environ_of(request: Request) -> dict[str, Any]:
    """Return the environ of a request whose head was proven; `environ['idp.request']` is the request."""
    host, _, port = request.host.rpartition(":") if not request.host.endswith("]") else (request.host, "", "")
    if not host or not port:
        host, port = request.host, "443" if request.scheme == "https" else "80"
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query.encode().decode("latin-1"),
        "CONTENT_TYPE": request.headers.get("content-type") or "",
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.remote_addr,
        "HTTP_HOST": request.host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        REQUEST_KEY: request,
    }
    for name in {name for name, _ in request.headers.items()}:
        # `X_Forwarded_For` would become the same key as `X-Forwarded-For`: names with underscores are dropped.
        if name not in _unforwarded and "_" not in name:
            value = request.headers.get(name) or ""
            environ["HTTP_" + name.upper().replace("-", "_")] = value.encode().decode("latin-1")
    return environ


def call(app: WsgiApp, request: Request) -> Response:
    """Run a WSGI application on a request and collect its whole answer."""
    status_line = ""
    headers: list[tuple[str, str]] = []
    chunks: list[bytes] = []

    def start_response(status: str, items: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        nonlocal status_line, headers
        if status_line and exc_info is None:
            raise RuntimeError("start_response was called twice")
        status_line, headers = status, items
        return chunks.append

    environ = environ_of(request)
    result = app(environ, start_response)
    try:
        chunks.extend(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    if not status_line:
        raise RuntimeError("the application did not call start_response")
    body = b"".join(chunks)
    is_head = request.method == "HEAD"
    answer = Response(int(status_line[:3]), [], body, environ.get(STREAM_KEY))
    for name, value in headers:
        lower = name.lower()
        if lower not in _framing or (is_head and not body and lower == "content-length"):
            answer.headers.append((lower, value))
    if answer.header("x-content-type-options") is None:
        answer.headers.append(("x-content-type-options", "nosniff"))
    return answer


def request_of(environ: dict[str, Any]) -> Request:
    """Return the proven request that the front or `guarded` put into an environ."""
    request: Request = environ[REQUEST_KEY]
    return request


def guarded(
    app: WsgiApp,
    settings: Settings,
    *,
    max_body: int = MAX_BODY_BYTES,
    on_refusal: OnRefusal | None = None,
) -> WsgiApp:
    """Give a WSGI application the front's checks of head and body; for servers behind a buffering proxy."""
    entrance = Entrance(settings, max_body=max_body)

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        correlation_id = new_correlation_id()
        scheme = environ["wsgi.url_scheme"]
        try:
            request = _admitted(entrance, environ, correlation_id, max_body)
            scheme = request.scheme
            answer = call(app, request)
        except IdpError as error:
            wanted = environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_LANGUAGE")
            answer = refusal(on_refusal, correlation_id, error, *wanted)
        except Exception:  # noqa: BLE001 - a defect of any kind is answered, and logged once
            get_logger(__name__).exception("unhandled", request_id=correlation_id)
            answer = problem(InternalError(), correlation_id)
        if environ["REQUEST_METHOD"] == "HEAD":
            length = answer.header("content-length") or str(len(answer.body))
            answer.set("content-length", length)
            answer.body = b""
        elif answer.status not in (204, 304) and answer.stream is None:
            answer.set("content-length", str(len(answer.body)))
        headers = [*answer.headers, ("x-correlation-id", correlation_id)]
        if scheme == "https":
            headers.append(HSTS)
        start_response(f"{answer.status} {_phrase(answer.status)}", headers)
        return [answer.body] if answer.stream is None or environ["REQUEST_METHOD"] == "HEAD" else answer.stream

    return application


def _admitted(entrance: Entrance, environ: dict[str, Any], correlation_id: str, max_body: int) -> Request:
    items = [(key[5:].lower().replace("_", "-"), _text(value)) for key, value in environ.items() if key[:5] == "HTTP_"]
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if environ.get(key):
            items.append((name, _text(environ[key])))
    headers = Headers(items)
    path, query = _text(environ.get("PATH_INFO") or "/"), _text(environ.get("QUERY_STRING") or "")
    scheme, host, remote, length = entrance.admit(
        environ["wsgi.url_scheme"], None, path, query, headers, environ.get("REMOTE_ADDR") or ""
    )
    stream = environ["wsgi.input"]
    if length is None:
        if not environ.get("wsgi.input_terminated"):
            # RFC 9110 §15.5.12 would be 411; PEP 3333 gives no way to find the end of such a body.
            raise AmbiguousLength
        body = stream.read(max_body + 1)
    else:
        body = stream.read(length) if length else b""
        if len(body) != length:
            raise AmbiguousLength
    if len(body) > max_body:
        raise BodyTooLarge
    return Request(environ["REQUEST_METHOD"], scheme, host, path, query, headers, body, remote, correlation_id)


def _text(latin: str) -> str:
    # PEP 3333 carries bytes as Latin-1; what is not UTF-8 becomes U+FFFD, which the entrance refuses in a path.
    return latin.encode("latin-1", "replace").decode("utf-8", "replace")


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

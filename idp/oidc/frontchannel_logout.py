"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0): the signed-out page loads a hidden frame of each application.

The page goes on to where the person should be when every frame has loaded, or after a few seconds; without script by itself
after those seconds, or by its link. Must not know how a session ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from idp.feature import Feature
from idp.flow import pages
from idp.store.tenant import session_clients
from idp.web.headers import bounded_sources, origin_source

if TYPE_CHECKING:
    from idp.oauth.server import TenantServer
    from idp.store.rows import Connection
    from idp.web.http import Request, Response

PATIENCE = 5  # seconds that a page waits for its frames; static/signed_out.js reads them from the page


def registered(conn: Connection, server: TenantServer, session_id: str) -> list[tuple[str, str]]:
    """Return the applications of a session that want to be told, with the address of each."""
    if not server.registry.serves(FRONTCHANNEL_LOGOUT.name):
        return []
    return session_clients.addresses(conn, session_id, "frontchannel_logout_uri")


def frames(server: TenantServer, told: list[tuple[str, str]], session_id: str) -> list[str]:
    """Return the addresses that end a session at the applications (§3), with ``iss`` and the ``sid`` that each knows."""
    found = []
    for client_id, uri in told:
        client = server.query_client(client_id)
        if client is not None:
            sid = server.subjects.sid_of(client, session_id)
            added = urlencode({"iss": server.tenant.issuer, "sid": sid})
            # §3: parameters are added to the registered query, if there is one.
            found.append(f"{uri}{'&' if '?' in uri else '?'}{added}")
    return list(dict.fromkeys(found))


def page(
    server: TenantServer,
    http: Request,
    addresses: list[str],
    onward: str | None,
    name: str | None,
    *,
    goes_on: bool,
    others: list[str],
) -> Response:
    """Answer the signed-out page with a frame of each address, and a link ``onward``, which it follows itself if it ``goes_on``.

    ``others`` are accounts that stay signed in in this browser.
    """
    return pages.page(
        server,
        http,
        "signed_out.html",
        frame_src=sources(addresses),
        has_script=goes_on,
        frames=addresses,
        patience=PATIENCE,
        goes_on=goes_on,
        continue_url=onward,
        continue_name=name,
        others=others,
        accounts_url=f"{server.tenant.base_path}/accounts",
    )


def sources(addresses: list[str]) -> tuple[str, ...]:
    """Return what the page's policy must let it frame: the origins, or all of HTTPS where they are too many to name."""
    return bounded_sources(source for address in addresses if (source := origin_source(address)) is not None)


FRONTCHANNEL_LOGOUT = Feature(
    name="frontchannel_logout",
    spec="OpenID Connect Front-Channel Logout 1.0",
    metadata=lambda _server: {
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    },
)

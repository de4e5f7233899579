"""What the flow is handed: the server of a tenant, the process-wide services, and the two tables of steps and protocols.

Owns only these shapes. A step (login, consent) knows whether it is still needed and nothing of protocols; a protocol
(OAuth, later SAML) knows how to answer and nothing of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from idp.audit import Spool
    from idp.flow.dispatcher import Context
    from idp.identity.passwords import Hasher
    from idp.identity.profile_schema import Schema
    from idp.identity.terms import Terms
    from idp.notify.mailer import Mailer
    from idp.outbound import Outbound
    from idp.settings import Settings
    from idp.store.db import Database, Store
    from idp.tenancy.feed import ChangeFeed
    from idp.tenancy.languages import TenantLanguages
    from idp.tenancy.tenant import Tenant
    from idp.web.http import Response


class Step(Protocol):
    """One thing a person may have to do before a protocol can answer; steps are asked in the order of the table."""

    @property
    def name(self) -> str:
        """Name for logs, for instance ``login``."""

    @property
    def path(self) -> str:
        """Path of the step's page under the tenant, for instance ``/login``."""

    @property
    def refusal(self) -> str:
        """The error of a request that allows no page (OIDC Core §3.1.2.6), for instance ``login_required``."""

    def is_needed(self, context: Context) -> bool:
        """Say whether the person still has to do this; reads, never writes."""

    def shows(self, context: Context) -> str:
        """Return what the page promises beside the interaction, for instance whose account it shows; the form is bound to it."""

    def show(self, context: Context) -> Response:
        """Answer the page; called only while the step is the first that is needed."""

    def submit(self, context: Context) -> Response:
        """Judge the page's form, whose CSRF token has been checked, and end with ``dispatcher.proceed``."""


class Protocol_(Protocol):  # noqa: N801 - the product's word for it, beside typing's
    """What takes over when nothing is needed any more."""

    @property
    def name(self) -> str:
        """Key in the table of protocols, stored with the interaction."""

    def complete(self, context: Context) -> Response:
        """Answer the request for ``context.session``.

        Calls ``context.finish(conn)`` inside the transaction that makes the answer valid, and raises
        :class:`idp.flow.interaction.AlreadyFinished` there when it says False.
        """

    def refuse(self, context: Context, error: str, description: str) -> Response:
        """Answer the request with an error of the protocol; the dispatcher has finished the interaction."""


@dataclass(frozen=True)
class Services:
    """What one process has once, made by the app."""

    settings: Settings
    store: Store
    hasher: Hasher
    spool: Spool
    feed: ChangeFeed
    outbound: Outbound
    mailer: Mailer
    csrf_key: bytes
    steps: tuple[Step, ...]
    protocols: Mapping[str, Protocol_]


class FlowServer(Protocol):
    """One tenant's server as the flow sees it."""

    @property
    def tenant(self) -> Tenant:
        """The tenant at one revision."""

    @property
    def database(self) -> Database:
        """The tenant's database."""

    @property
    def languages(self) -> TenantLanguages:
        """The languages that the tenant offers."""

    @property
    def services(self) -> Services:
        """The process's services."""

    @property
    def profile(self) -> Schema:
        """What the profiles of the tenant's people have."""

    @property
    def terms(self) -> Terms | None:
        """The terms in force, None where there are none."""

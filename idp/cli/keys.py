"""`idp keys`: a tenant's signing keys (RFC 7517), and re-encrypting everything under a new master key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from idp.cli.commands import Failed, Output, json_option, moment, progress, table
from idp.cli.opening import OPERATOR, opened, opened_tenant, record
from idp.errors import IdpError
from idp.jobs.key_changes import Keys
from idp.keys import rewrap as rewrapping
from idp.keys.algorithms import ALGORITHMS
from idp.keys.encryption import KEY_ALGORITHMS
from idp.tenancy.context import entered
from idp.tenancy.tenant import SYSTEM

if TYPE_CHECKING:
    from idp.cli.opening import Place
    from idp.installation import Installation
    from idp.keys.rotation import Rotation


@click.group()
def keys() -> None:
    """Signing keys of a tenant, and the master key."""


@keys.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List a tenant's keys, what each is used for (signatures or encryption), and their states."""
    with opened_tenant(tenant) as place:
        documents = _keys(place).list_all()

    def show() -> None:
        names = ("created_at", "begins_at", "activated_at", "retired_at", "revoked_at")
        rows = [
            [each["kid"], each["use"], each["alg"], each["state"], *(moment(each[name]) for name in names)]
            for each in documents
        ]
        table(
            ["kid", "use", "alg", "state", "created", "begins", "used since", "retired", "revoked"],
            rows,
            "There are no keys.",
        )

    out.result(documents, show)


@keys.command()
@click.argument("tenant")
@click.option(
    "--alg",
    "algorithms",
    multiple=True,
    type=click.Choice([*ALGORITHMS, *KEY_ALGORITHMS]),
    help="Only this algorithm; may be repeated.",
)
@click.option(
    "--now", "at_once", is_flag=True, help="At once, also where relying parties cannot know the next key yet."
)
@json_option
def rotate(out: Output, tenant: str, algorithms: tuple[str, ...], *, at_once: bool) -> None:
    """Replace the keys that sign by those that come next, as soon as everybody can know them; what the former ones signed stays valid."""
    with opened_tenant(tenant) as place:
        unused = [alg for alg in algorithms if alg not in place.tenant.settings.key_algorithms]
        if unused:
            raise Failed(
                f"{tenant} keeps no keys for {', '.join(unused)}; see signing_algorithms and allowed_client_profiles in `idp tenant show {tenant}`."
            )
        _said(out, place, _keys(place).rotate(algorithms, at_once=at_once, who={"actor": OPERATOR.actor}))


class _WithKid(click.Command):
    """A command whose argument may begin with "-", as the thumbprint of a key does; its options are flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {name for each in self.get_params(ctx) for name in each.opts}
        options = [each for each in args if each in flags]
        return super().parse_args(ctx, [*options, "--", *(each for each in args if each not in options)])


@keys.command(cls=_WithKid)
@click.argument("tenant")
@click.argument("kid", required=False)
@json_option
def revoke(out: Output, tenant: str, kid: str | None) -> None:
    """Withdraw a key at once (it is in wrong hands): it leaves the JWKS and what it signed is refused."""
    with opened_tenant(tenant) as place:
        if kid is None:
            listed = [each["kid"] for each in _keys(place).list_all() if each["state"] in ("active", "next", "retired")]
            raise click.UsageError(f"say which key: idp keys revoke {tenant} KID, one of {', '.join(listed)}")
        _said(out, place, _keys(place).revoke(kid, who={"actor": OPERATOR.actor}))


@keys.command()
@json_option
def rewrap(out: Output) -> None:
    """Seal every secret anew under the newest master key (the first of IDP_MASTER_KEY); may be broken off and repeated."""
    with opened() as installation:
        tenants = [each for each in installation.provisioning.list_all() if each.database_url]
        total, failures = 0, []
        with progress(out, "tenants", len(tenants)) as advance:
            for tenant in tenants:
                try:
                    with entered(installation.store, tenant) as database:
                        total += rewrapping.rewrap(database, installation.envelope, tenant.id)
                except IdpError as error:
                    failures.append({"tenant": tenant.slug, "reason": error.title})
                installation.store.forget(tenant.id)
                advance()
        if not failures:
            total += _rewrap_own(installation)
            record(installation, installation.provisioning.find(SYSTEM), "keys.rewrapped", secrets=total)
    document = {"tenants": len(tenants), "rewrapped": total, "failed": failures}
    if failures:
        named = ", ".join(each["tenant"] for each in failures)
        out.result(document)
        raise Failed(
            f"Not rewrapped: {named}; a database cannot be reached, or the master key that sealed it is not in IDP_MASTER_KEY. Keep all master keys and repeat."
        )
    out.result(
        document,
        f"{total} secrets of {len(tenants)} tenants were sealed anew; former master keys are no longer needed.",
    )


def _rewrap_own(installation: Installation) -> int:
    count = int(installation.rewrap())
    # Last, so that a start without the former key is refused until everything is done.
    return count + int(installation.store.control.writing(installation.envelope.rewrap_check))


def _keys(place: Place) -> Keys:
    installation = place.installation
    return Keys(place.tenant, place.database, installation.store.control, installation.envelope, installation.feed)


def _said(out: Output, place: Place, done: Rotation) -> None:
    transitions = [{"kid": step.kid, "alg": step.alg, "change": step.change} for step in done.transitions]
    documents = _keys(place).list_all()
    document = {"transitions": transitions, "warning": done.warning or None, "keys": documents}
    out.result(
        document,
        lambda: table(
            ["kid", "alg", "change"], [list(step.values()) for step in transitions], "Nothing had to change."
        ),
    )
    if out.is_json:
        return
    if done.warning:
        out.note(done.warning)
    begins = [each["begins_at"] for each in documents if each["begins_at"] is not None]
    if begins:
        out.note(
            f"What is published now signs from {moment(max(begins))} on, when no copy of the key set is without it; "
            "with --now it would sign at once."
        )

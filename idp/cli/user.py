"""`idp user`: the users of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from idp.cli.commands import (
    Output,
    confirm,
    facts,
    json_object,
    json_option,
    moment,
    password_from_input,
    table,
)
from idp.cli.invite import COMMANDS
from idp.cli.opening import OPERATOR, opened_tenant
from idp.cli.user_import import import_users
from idp.identity import accounts, kept_accounts, lifecycle, notices, unlocking
from idp.language import format_duration
from idp.store.tenant import role_bindings, users

if TYPE_CHECKING:
    from idp.cli.opening import Place
    from idp.identity.notices import Tell
    from idp.store.rows import Connection, Row

MOST_LISTED = 1000


@click.group()
def user() -> None:
    """Users of a tenant."""


user.add_command(import_users)


@user.command()
@click.argument("tenant")
@click.argument("email")
@click.option("--name", help="The person's full name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; without it there is none.")
@click.option("--must-change", is_flag=True, help="The password must be changed at the first sign-in.")
@click.option("--role", "roles", multiple=True, help="A role the user holds; may be repeated.")
@click.option("--claims", help='More standard claims as JSON, such as {"given_name": "Ada"}.')
@json_option
def create(
    out: Output,
    *,
    tenant: str,
    email: str,
    name: str | None,
    password_stdin: bool,
    must_change: bool,
    roles: tuple[str, ...],
    claims: str | None,
) -> None:
    """Make a user, who signs in with the e-mail address; it counts as verified."""
    if must_change and not password_stdin:
        raise click.UsageError("--must-change needs --password-stdin")
    given: dict[str, Any] = json_object(claims, "--claims must be a JSON object.") if claims else {}
    given = {"email_verified": True, **given} | ({"name": name} if name else {})
    password = password_from_input() if password_stdin else None
    with opened_tenant(tenant) as place:
        user_id = accounts.create_user(
            place.database,
            place.installation.services.hasher,
            place.tenant,
            username=email,
            password=password,
            email=email,
            by=OPERATOR,
            claims=given,
            roles=roles,
            must_change=must_change,
        )
        row = _by_id(place, user_id)
        out.result(_document(place, row), f"User {row.username} of {place.tenant.slug}: {user_id}")


@user.command("list")
@click.argument("tenant")
@json_option
def list_(out: Output, tenant: str) -> None:
    """List the users of a tenant."""
    with opened_tenant(tenant) as place:
        with place.database.reading() as conn:
            found = users.list_all(conn, limit=MOST_LISTED)
            total = users.count(conn)
        documents = [_document(place, row) for row in found]

    def show() -> None:
        rows = [
            [each["username"], each["claims"].get("name", ""), each["state"], ", ".join(each["roles"]), each["id"]]
            for each in documents
        ]
        table(
            ["username", "name", "state", "roles", "id"],
            rows,
            "There are no users; make one: idp user create TENANT EMAIL",
        )
        if total > len(rows):
            click.echo(f"{total - len(rows)} more are not shown.")

    out.result(documents, show)


@user.command("show")
@click.argument("tenant")
@click.argument("username")
@json_option
def show_user(out: Output, tenant: str, username: str) -> None:
    """Show one user."""
    with opened_tenant(tenant) as place:
        document = _document(place, _find(place, username))

    def show() -> None:
        given = [(name, str(value)) for name, value in document["claims"].items()]
        named = [(name, str(value)) for name, value in document.items() if name not in ("claims", "created_at")]
        facts([*named, ("created", moment(document["created_at"])), *given])

    out.result(document, show)


@user.command("set-password")
@click.argument("tenant")
@click.argument("username")
@click.option("--password-stdin", is_flag=True, required=True, help="Read the password from standard input.")
@click.option("--must-change", is_flag=True, help="The password must be changed at the next sign-in.")
@json_option
def set_password(out: Output, *, tenant: str, username: str, password_stdin: bool, must_change: bool) -> None:  # noqa: ARG001 - required
    """Give a user a new password and tell the user by mail; the user's sessions end where the tenant wants it (the default)."""
    password = password_from_input()
    with opened_tenant(tenant) as place:
        row, services = _find(place, username), place.installation.services

        def tell(conn: Connection) -> None:
            current = users.find(conn, row.id)
            if current is not None:
                notices.tell_owner(conn, services.mailer, place.tenant, "password_set", current)

        accounts.set_password(
            place.database,
            services.hasher,
            place.tenant,
            row,
            password,
            by=OPERATOR,
            must_change=must_change,
            also=tell,
        )
        out.result({"id": row.id, "username": row.username}, f"{row.username} has a new password.")


@user.command()
@click.argument("tenant")
@click.argument("username")
@json_option
def disable(out: Output, tenant: str, username: str) -> None:
    """Keep a user from signing in and tell the user by mail; sessions and tokens end now."""
    with opened_tenant(tenant) as place:
        row = _find(place, username)
        accounts.disable_user(place.database, row.id, by=OPERATOR, tell=_tell(place, "account_disabled"))
        out.result(
            _document(place, _by_id(place, row.id)), f"{row.username} is disabled; sessions and tokens have ended."
        )


@user.command()
@click.argument("tenant")
@click.argument("username")
@json_option
def enable(out: Output, tenant: str, username: str) -> None:
    """Let a disabled user sign in again and tell the user by mail."""
    with opened_tenant(tenant) as place:
        row = _find(place, username)
        accounts.enable_user(place.database, row.id, by=OPERATOR, tell=_tell(place, "account_enabled"))
        out.result(_document(place, _by_id(place, row.id)), f"{row.username} can sign in again.")


@user.command()
@click.argument("tenant")
@click.argument("username")
@click.option("--yes", "confirmation", metavar="USERNAME", help="The username once more, to do it without being asked.")
@click.option(
    "--keep", is_flag=True, help="Keep the account for deleted_account_retention, so that it can be restored."
)
@json_option
def delete(out: Output, *, tenant: str, username: str, confirmation: str | None, keep: bool) -> None:
    """Delete a user for good, with consents and roles, and tell the user by mail; sessions and tokens end now."""
    with opened_tenant(tenant) as place:
        row = _find(place, username)
        if keep:
            kept_accounts.delete(place.database, row.id, by=OPERATOR, tell=_tell(place, "account_removed"))
            kept = format_duration(place.tenant.settings.deleted_account_retention)
            done = f"{row.username} is deleted; for {kept}: idp user restore {place.tenant.slug} {row.username}"
        else:
            warning = f"This deletes the user {row.username} of tenant {place.tenant.slug} for good."
            confirm(row.username, confirmation, warning)
            accounts.delete_user(place.database, row.id, by=OPERATOR, tell=_tell(place, "account_removed"))
            done = f"{row.username} is deleted."
        out.result({"id": row.id, "username": row.username, "state": "deleted", "is_kept": keep}, done)


@user.command()
@click.argument("tenant")
@click.argument("username")
@json_option
def restore(out: Output, tenant: str, username: str) -> None:
    """Give a user that was deleted with --keep its account back and tell the user by mail; it must sign in again."""
    with opened_tenant(tenant) as place:
        row = _find(place, username)
        state = kept_accounts.restore(place.database, row.id, by=OPERATOR, tell=_tell(place, "account_restored"))
        out.result(_document(place, _by_id(place, row.id)), f"{row.username} is restored and {state}.")


@user.command()
@click.argument("tenant")
@click.argument("username")
@json_option
def unlock(out: Output, tenant: str, username: str) -> None:
    """End a lock that too many failed sign-ins have begun and tell the user by mail."""
    with opened_tenant(tenant) as place:
        row = _find(place, username)
        unlocking.unlock(
            place.database, place.tenant.settings, row.id, by=OPERATOR, tell=_tell(place, "account_unlocked")
        )
        out.result(_document(place, _by_id(place, row.id)), f"{row.username} is not locked.")


for command in COMMANDS:
    user.add_command(command)


def _tell(place: Place, what: str) -> Tell:
    return notices.by_operator(place.installation.services.mailer, place.tenant, what)


def _find(place: Place, username: str) -> Row[Any]:
    with place.database.reading() as conn:
        found = users.find(conn, username) if len(username) == 32 else None
    return found or accounts.find_user(place.database, username)


def _by_id(place: Place, user_id: str) -> Row[Any]:
    with place.database.reading() as conn:
        found = users.find(conn, user_id)
    if found is None:
        raise LookupError(user_id)
    return found


def _document(place: Place, row: Row[Any]) -> dict[str, Any]:
    with place.database.reading() as conn:
        roles = role_bindings.roles_of(conn, row.id)
        is_locked = lifecycle.state_of(conn, row, place.tenant.settings) == "locked"
    return {
        "id": row.id,
        "tenant": place.tenant.slug,
        "username": row.username,
        "email": row.email,
        "email_verified": row.email_verified,
        "state": row.state,
        "is_locked": is_locked,
        "has_password": row.password_hash is not None,
        "must_change_password": row.must_change_password,
        "roles": roles,
        "created_at": row.created_at,
        "claims": row.claims,
    }

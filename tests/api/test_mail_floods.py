"""An administrator of a tenant cannot have the platform's mail server flood a mailbox; on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from user_world import done, mails, refused

from idp.identity import invitations
from idp.identity.accounts import By

if TYPE_CHECKING:
    from api_world import World


def test_a_mailbox_is_invited_so_often(town: World) -> None:
    """Decision 17: five invitations an hour to one mailbox, however they come about; operators and other mailboxes are not concerned."""
    world = town
    invited = done(world.uflow("POST", "/invitations", {"email": "kat@example.org"}), 201)["user_id"]
    for _ in range(3):
        done(world.uflow("POST", f"/invitations/{invited}/resend"))
    assert world.uflow("DELETE", f"/invitations/{invited}").status == 204
    # Another spelling of the same mailbox, by the other operation.
    again = done(world.uflow("POST", "/users", {"email": "kat+2@example.org", "invite": True}), 201)["id"]
    before = len(mails(world))
    answer = world.uflow("POST", f"/invitations/{again}/resend")
    refused(answer, 429, "too_many_requests")
    assert answer.header("retry-after")
    refused(world.uflow("POST", "/invitations", {"email": "kat+3@example.org"}), 429, "too_many_requests")
    assert len(mails(world)) == before
    done(world.uflow("POST", "/invitations", {"email": "kit@example.org"}), 201)
    services, acme = world.house.installation.services, world.tenants["acme"]
    invitations.resend(world.database(), services.mailer, acme, again, by=By("operator"))

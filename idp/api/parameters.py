"""The parameters that paths are made of, spelled alike in every service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathParameter:
    """What may stand in a path, as an expression; what does not match it is not there (404)."""

    pattern: str
    description: str
    example: str
    longest: int = 255
    matched: str | None = None  # what is let in beyond the pattern that is shown

    @property
    def expression(self) -> str:
        """What a path is matched with."""
        return self.matched or self.pattern

    def schema(self) -> dict[str, object]:
        """Return its JSON Schema."""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.longest,
            "pattern": f"^({self.pattern})$" if "|" in self.pattern else f"^{self.pattern}$",
        }


PATH_PARAMETERS = {
    "tenant_id": PathParameter(
        r"[A-Za-z0-9-]{1,63}",
        "The tenant: its id (a UUID) or its slug. The platform's own is `system`.",
        "acme",
        63,
    ),
    "client_id": PathParameter(
        r"[A-Za-z0-9][A-Za-z0-9._~:/-]{0,127}",
        "The client. Where its id has a slash before the name of an action (`x/activate`), the slash is sent as %252F.",
        "orders-web",
        128,
        r"[A-Za-z0-9](?:[A-Za-z0-9._~:/-]|%2[Ff]){0,127}",
    ),
    "token_id": PathParameter(
        r"[A-Za-z0-9_-]{1,64}", "The initial access token's id, not the token.", "5b0c9f0e4d5f4b7f8f5f1c0a9f3e7d21", 64
    ),
    "role": PathParameter(r"[a-z][a-z0-9._:-]{0,62}", "The role's name.", "editor", 63),
    "permission": PathParameter(
        r"[a-z][a-z0-9_.-]{0,62}:[a-z][a-z0-9_.-]{0,62}", "The permission, `resource:action`.", "document:write", 127
    ),
    "scope": PathParameter(
        r"[a-z][a-z0-9._:/-]{0,99}",
        "The scope's name; a slash in it is sent as %252F.",
        "documents",
        100,
        r"[a-z](?:[a-z0-9._:-]|%2[Ff]){0,99}",
    ),
    "group_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The group's id.", "8f14e45fceea467a9575e9b1c6f0a1d3", 64),
    "user_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The user's id.", "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b", 64),
    "session_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The session's id.", "9e107d9d372bb6826bd81d3542a419d6", 64),
    "invited_id": PathParameter(
        r"[A-Za-z0-9-]{1,64}", "The invited user's id.", "0d0c5d5b6d5e4c0f9a3b8a7f6e5d4c3b", 64
    ),
    "sign_up_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The sign-up's id.", "1f3870be274f6c49b3e31a0c6728957f", 64),
    "kid": PathParameter(r"[A-Za-z0-9_-]{1,64}", "The key's id.", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", 64),
    "binding_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The binding's id.", "c4ca4238a0b923820dcc509a6f75849b", 64),
    "webhook_id": PathParameter(r"[A-Za-z0-9-]{1,64}", "The webhook's id.", "8f14e45fceea467a9575e9b1c6f0a1d3", 64),
    "delivery_id": PathParameter(
        r"[A-Za-z0-9_-]{1,64}",
        "The delivery's id, the `webhook-id` of its message.",
        "msg_c4ca4238a0b923820dcc509a6f75849b",
        64,
    ),
    "domain": PathParameter(
        r"[a-z0-9][a-z0-9.-]{0,252}(:[0-9]{1,5})?", "The domain, in its ASCII form.", "login.acme.example", 259
    ),
    "picture": PathParameter("logo|logo-dark|favicon|background", "Which picture.", "logo", 20),
}

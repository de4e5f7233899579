"""The table of the documented services that this release serves."""

from __future__ import annotations

from idp.api.client_management import CLIENT_MANAGEMENT

SERVICES = (CLIENT_MANAGEMENT,)

"""The table of the documented services that this release serves."""

from __future__ import annotations

from idp.api.auth_manager import AUTH_MANAGER
from idp.api.client_management import CLIENT_MANAGEMENT
from idp.api.user_flow import USER_FLOW

SERVICES = (USER_FLOW, AUTH_MANAGER, CLIENT_MANAGEMENT)

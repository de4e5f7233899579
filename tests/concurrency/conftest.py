"""One installation served by two processes, on each kind of database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from databases import environment
from serving import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from house import RelyingParty

    from idp.tenancy.tenant import Tenant


@dataclass
class Arena:
    """Two worker processes in front of one tenant with one client."""

    served: Served
    tenant: Tenant
    rp: RelyingParty


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Where 50 threads meet."""
    with environment(request.param) as environ, Served(tmp_path_factory.mktemp("arena"), **environ) as served:
        tenant = served.tenant("acme")
        yield Arena(served, tenant, served.client(tenant))

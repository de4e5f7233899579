"""What takes long to make, made once a process and handed to one house after the other: migrated SQLite files and RSA keys.

A house stays what a new installation is: it has a folder, a master key and databases of its own, and no two tenants of houses
that are open at a time have a key in common.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from collections import defaultdict, deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databases import make_tables

from idp.clock import now
from idp.installation import Installation
from idp.keys import encryption
from idp.keys.algorithms import ALGORITHMS
from idp.keys.signer import sealing_purpose
from idp.settings import Settings
from idp.store import placement
from idp.store.tenant import signing_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idp.keys.envelope import Envelope
    from idp.store.db import Database
    from idp.tenancy.tenant import Tenant

SLOW = ("RS256", "PS256", "RSA-OAEP-256")  # making one of these keys takes a tenth of a second
CONTROL = "control.db"

Key = tuple[dict[str, Any], bytes]
_free: defaultdict[str, deque[Key]] = defaultdict(deque)  # the key that came back first is lent first


def lay_files(settings: Settings) -> None:
    """Give a data folder that has no control database a migrated one, and the template that tenants' databases are copied from."""
    folder = settings.data_dir
    if not settings.uses_sqlite or (folder / CONTROL).exists():
        return
    shutil.copyfile(_files() / CONTROL, folder / CONTROL)
    (folder / CONTROL).chmod(0o600)
    (folder / "tenants").mkdir(mode=0o700, exist_ok=True)
    for template in (_files() / "tenants").iterdir():
        shutil.copyfile(template, folder / "tenants" / template.name)
        (folder / "tenants" / template.name).chmod(0o600)


@cache
def _files() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="idp-ready-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = Settings.from_env({"IDP_DATA_DIR": str(folder)})
    placement.create_control(settings).close()
    placement.create(settings, "only")
    placement.drop(settings, placement.url_of(settings, "only")[1])
    return folder


def lay_tables(path: Path, kind: str) -> str:
    """Make a SQLite file with the tables of a ``kind``, control or tenant; returns its URL."""
    shutil.copyfile(_with_tables(kind), path)
    return f"sqlite:///{path}"


@cache
def _with_tables(kind: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="idp-ready-made-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"{kind}.db"
    sqlite3.connect(path).close()
    make_tables(f"sqlite:///{path}", kind)
    return path


class Loan:
    """The RSA keys that the tenants of one house have, until the house is closed."""

    def __init__(self) -> None:
        self._lent: list[tuple[str, Key]] = []

    def give(self, database: Database, envelope: Envelope, tenant_id: str, algorithms: Sequence[str]) -> None:
        """Give a new tenant an active key for each algorithm whose keys are slow to make, sealed for it as its own would be."""
        wanted = [alg for alg in algorithms if alg in SLOW]
        made = [self._take(alg) for alg in wanted]
        sealed = [envelope.seal(private, sealing_purpose(tenant_id, public["kid"])) for public, private in made]
        moment = now()

        def work(conn: Any) -> None:
            for alg, (public, _), private in zip(wanted, made, sealed, strict=True):
                signing_keys.create(
                    conn,
                    kid=public["kid"],
                    alg=alg,
                    state="active",
                    public_jwk=public,
                    sealed_private=private,
                    created_at=moment,
                    activated_at=moment,
                )

        database.writing(work)

    def end(self) -> None:
        """Give the keys back."""
        while self._lent:
            alg, key = self._lent.pop()
            _free[alg].append(key)

    def _take(self, alg: str) -> Key:
        try:
            key = _free[alg].popleft()
        except IndexError:
            key = ALGORITHMS[alg].generate() if alg in ALGORITHMS else encryption.generate(alg)
        self._lent.append((alg, key))
        return key


class Furnished(Installation):
    """An installation whose new tenants borrow their RSA keys; the other keys are made as ever."""

    def __init__(self, settings: Settings, loan: Loan) -> None:
        """Open the control database."""
        self._loan = loan
        super().__init__(settings, "test")

    def _seed_keys(self, tenant: Tenant, database: Database) -> None:
        self._loan.give(database, self.envelope, tenant.id, tenant.settings.key_algorithms)
        super()._seed_keys(tenant, database)

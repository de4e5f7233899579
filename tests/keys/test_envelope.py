from __future__ import annotations

import base64
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.errors import IdpError, SettingError
from idp.keys.envelope import CannotUnseal, Envelope, create_master_key
from idp.keys.rewrap import rewrap
from idp.keys.rotation import KeyPolicy, create_initial, rotate_due
from idp.settings import Settings
from idp.store.tenant import signing_keys

OLD, NEW = (base64.urlsafe_b64encode(bytes(range(first, first + 32))).decode() for first in (1, 101))


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@given(
    st.binary(max_size=300),
    st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and text.isprintable()),
)
def test_what_is_sealed_is_unsealed(value: bytes, purpose: str) -> None:
    """ASVS 5.0 §11.3: a secret at rest is encrypted and authenticated; the same secret is never sealed alike twice."""
    envelope = Envelope([NEW])
    sealed = envelope.seal(value, purpose)
    assert envelope.unseal(sealed, purpose) == value
    assert envelope.seal(value, purpose) != sealed


def test_a_sealed_value_cannot_be_moved() -> None:
    """ASVS 5.0 §11.3: a value sealed for one tenant or purpose does not open for another, nor for a longer or shorter one."""
    envelope = Envelope([NEW])
    sealed = envelope.seal(b"private", "signing-key/a/k1")
    for purpose in ("signing-key/b/k1", "signing-key/a/k2", "signing-key/a/k", "signing-key/a/k1x", "totp/a/k1", ""):
        with pytest.raises(CannotUnseal):
            envelope.unseal(sealed, purpose)
    assert envelope.unseal(sealed, "signing-key/a/k1") == b"private"


@pytest.mark.parametrize("position", range(0, 120, 7))
def test_a_changed_value_does_not_open(position: int) -> None:
    """ASVS 5.0 §11.3: one changed character is noticed, and the error names nothing."""
    envelope = Envelope([NEW])
    sealed = envelope.seal(b"a private key" * 3, "p")
    changed = sealed[:position] + ("A" if sealed[position] != "A" else "B") + sealed[position + 1 :]
    with pytest.raises(CannotUnseal) as caught:
        envelope.unseal(changed, "p")
    assert isinstance(caught.value, IdpError)
    assert caught.value.status == 503
    assert caught.value.__cause__ is None
    assert "private" not in str(caught.value)


@pytest.mark.parametrize("damaged", ["", "x", "gAAAA", "é" * 60, "\ud800", "=" * 100, "A" * 100])
def test_what_was_never_sealed_does_not_open(damaged: str) -> None:
    """Architecture §4: a damaged column is an error of the installation (503), never a traceback."""
    with pytest.raises(CannotUnseal):
        Envelope([NEW]).unseal(damaged, "p")
    assert Envelope([NEW]).needs_rewrap(damaged)


def test_the_newest_master_key_seals_and_every_one_opens() -> None:
    """ASVS 5.0 §11.2: a master key can be replaced while values under the former one are in use."""
    before = Envelope([OLD]).seal(b"secret", "p")
    both = Envelope([NEW, OLD])
    assert both.unseal(before, "p") == b"secret"
    assert both.needs_rewrap(before)
    after = both.reseal(before, "p")
    assert not both.needs_rewrap(after)
    assert Envelope([NEW]).unseal(after, "p") == b"secret"
    with pytest.raises(CannotUnseal):
        Envelope([OLD]).unseal(after, "p")
    with pytest.raises(CannotUnseal):
        both.reseal(before, "another purpose")


def test_the_master_keys_file_is_made_once(tmp_path: Path) -> None:
    """Interfaces §2: `idp init` makes the master key, readable by its owner only, and never overwrites it."""
    settings = Settings(data_dir=tmp_path / "var")
    assert create_master_key(settings)
    path = tmp_path / "var" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    assert not create_master_key(settings)
    assert path.read_text() == first
    assert names(path.parent) == ["master.key"]
    sealed = Envelope.open(settings).seal(b"x", "p")
    assert Envelope([first.strip()]).unseal(sealed, "p") == b"x"


def test_two_processes_make_one_master_key(tmp_path: Path) -> None:
    """Architecture §4: of many that start at once one makes the master key, and all use that one."""
    settings = Settings(data_dir=tmp_path)
    barrier, made, found = threading.Barrier(8), [], set()

    def start() -> None:
        barrier.wait()
        made.append(create_master_key(settings))
        found.add((tmp_path / "master.key").read_text())

    threads = [threading.Thread(target=start) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(made) == [False] * 7 + [True]
    assert len(found) == 1
    assert names(tmp_path) == ["master.key"]


def test_serving_never_makes_a_master_key(tmp_path: Path) -> None:
    """Reliability: a lost master key stops the start with one sentence; it is not silently replaced."""
    with pytest.raises(SettingError, match=r"idp init") as caught:
        Envelope.open(Settings(data_dir=tmp_path))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_master_key_in_the_settings_needs_no_file(tmp_path: Path) -> None:
    """Architecture §4: master keys from the environment, newest first; then no file is made."""
    settings = Settings(data_dir=tmp_path, master_key=f"{NEW}, {OLD}")
    assert not create_master_key(settings)
    envelope = Envelope.open(settings)
    assert envelope.unseal(Envelope([OLD]).seal(b"x", "p"), "p") == b"x"
    assert not Envelope([NEW]).needs_rewrap(envelope.seal(b"x", "p"))
    assert names(tmp_path) == []


@pytest.mark.parametrize("text", ["secret-but-wrong", ",", NEW[:-2], f"{NEW},short", "é" * 44, NEW + "A"])
def test_a_wrong_master_key_is_named_not_shown(text: str, tmp_path: Path) -> None:
    """ASVS 5.0 §16.2.5: the error names the setting and says what to do, and never shows the value."""
    with pytest.raises(SettingError, match="IDP_MASTER_KEY must hold") as caught:
        Envelope.open(Settings(data_dir=tmp_path, master_key=text))
    assert text == "," or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """ASVS 5.0 §13.3: the file of the master key is its owner's alone; the sentence contains the command."""
    settings = Settings(data_dir=tmp_path)
    create_master_key(settings)
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(SettingError, match="chmod 600"):
        Envelope.open(settings)


def test_the_wrong_master_key_stops_the_start(control) -> None:
    """S118: under another master key the start is refused, the stored proof stays, and the right key works again."""
    control.writing(Envelope([OLD]).check)
    control.writing(Envelope([OLD]).check)
    for _ in range(2):
        with pytest.raises(SettingError, match="idp keys rewrap") as caught:
            control.writing(Envelope([NEW]).check)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)
    control.writing(Envelope([NEW, OLD]).check)
    control.writing(Envelope([OLD]).check)


def test_the_former_master_key_is_needed_until_all_is_rewrapped(control) -> None:
    """S118: the proof is rewrapped last; then, and only then, a start without the former key is accepted."""
    control.writing(Envelope([OLD]).check)
    both = Envelope([NEW, OLD])
    control.writing(both.check)
    with pytest.raises(SettingError):
        control.writing(Envelope([NEW]).check)
    assert control.writing(both.rewrap_check)
    assert not control.writing(both.rewrap_check)
    control.writing(Envelope([NEW]).check)
    with pytest.raises(SettingError):
        control.writing(Envelope([OLD]).check)


def test_rewrap_reseals_every_private_key(site) -> None:
    """S118: `idp keys rewrap` leaves nothing under the former master key; the second run has nothing to do."""
    create_initial(site.database, Envelope([OLD]), site.id)
    rotate_due(site.database, Envelope([OLD]), site.id, KeyPolicy())
    both = Envelope([NEW, OLD])
    token = site.keys(both).sign(site.claims(), alg="ES256", typ="JWT")
    kids = [row.kid for row in site.rows()]
    assert rewrap(site.database, both, site.id) == 4
    assert rewrap(site.database, both, site.id) == 0
    assert [row.kid for row in site.rows()] == kids
    alone = site.keys(Envelope([NEW]))
    assert alone.verify(token, typ="JWT", issuer=site.issuer)["sub"] == "u1"
    assert alone.sign(site.claims(), alg="RS256", typ="JWT")
    with pytest.raises(CannotUnseal):
        site.keys(Envelope([OLD])).sign(site.claims(), alg="ES256", typ="JWT")


def test_rewrap_can_be_broken_off(site) -> None:
    """Reliability: a run that stopped half-way is completed by the next one; what was done stays done."""
    create_initial(site.database, Envelope([OLD]), site.id)
    both = Envelope([NEW, OLD])
    row = site.rows()[0]
    fresh = both.reseal(row.sealed_private, f"signing-key/{site.id}/{row.kid}")
    assert site.database.writing(lambda conn: signing_keys.reseal(conn, row.kid, row.sealed_private, fresh))
    assert rewrap(site.database, both, site.id) == 1


def test_rewrap_without_the_former_master_key_changes_nothing(site) -> None:
    """Reliability: what cannot be unsealed is never overwritten."""
    create_initial(site.database, Envelope([OLD]), site.id)
    before = [tuple(row) for row in site.rows()]
    with pytest.raises(CannotUnseal):
        rewrap(site.database, Envelope([NEW]), site.id)
    assert [tuple(row) for row in site.rows()] == before


def test_no_private_key_in_the_database_file(site) -> None:
    """S118: neither the private part nor its number stands in the database; only the sealed text does."""
    create_initial(site.database, site.envelope, site.id)
    row = next(row for row in site.rows() if row.alg == "ES256")
    private = site.envelope.unseal(row.sealed_private, f"signing-key/{site.id}/{row.kid}")
    assert private[:1] == b"\x30"  # PKCS #8
    assert not {"d", "p", "q", "k"} & row.public_jwk.keys()
    if site.database.kind == "sqlite":
        path = Path(site.database.engine.url.database)
        stored = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name))
        assert row.sealed_private.encode() in stored
        assert private not in stored
        assert private[36:68] not in stored

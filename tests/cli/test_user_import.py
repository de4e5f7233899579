"""`idp user import`: rows, files and second runs (interfaces.md §2; Issue 5, part 4); on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from databases import environment
from werkzeug.security import generate_password_hash

from idp.cli import import_rows, user_import

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from command import Idp

HASH = generate_password_hash("lantern geese verb kettle", "pbkdf2:sha256:600")
HEADER = "email,email_verified,name,given_name,password_hash,roles,state"
ADA = f"ada@example.org,true,Ada Lovelace,Ada,{HASH},admin auditor,active"
BOB = f"bob@example.org,false,Bob,,{HASH},,disabled"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder for files."""
    return tmp_path


def written(place: Path, *lines: str | bytes, name: str = "users.csv") -> str:
    """A file of lines."""
    path = place / name
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return str(path)


def bring(idp: Idp, file: str, *options: str, status: int = 0, given: str = "") -> Any:
    """Import a file into acme; the report."""
    ran = idp("user", "import", "acme", file, *options, "--json", given=given)
    assert ran.status == status, ran.err or ran.out
    assert "Traceback" not in ran.err
    return json.loads(ran.out)


def problems(report: Any) -> dict[int, str]:
    """What is wrong with which line."""
    return {each["line"]: each["problem"] for each in report["problems"]}


def names(idp: Idp) -> list[str]:
    """Who is there."""
    return [each["username"] for each in idp("user", "list", "acme", "--json").json]


def test_a_csv_file_brings_people_with_all_that_they_are(idp: Idp, place: Path) -> None:
    """Issue 5: names, claims, roles, state and hash of a row are the account's; the e-mail address is the username."""
    file = written(
        place,
        HEADER + ",address.country,locale,phone_number,phone_number_verified",
        ADA + ",GB,en-GB,+44 20 7946 0000,yes",
        BOB + ",,,,",
    )
    report = bring(idp, file)
    assert (report["rows"], report["created"], report["already_there"], report["bad"]) == (2, 2, 0, 0)
    ada, bob = (idp("user", "show", "acme", f"{name}@example.org", "--json").json for name in ("ada", "bob"))
    assert (ada["email"], ada["email_verified"], ada["roles"]) == ("ada@example.org", True, ["admin", "auditor"])
    assert (ada["state"], ada["has_password"], ada["must_change_password"]) == ("active", True, False)
    assert ada["claims"] == {
        "name": "Ada Lovelace",
        "given_name": "Ada",
        "address": {"country": "GB"},
        "locale": "en-GB",
        "phone_number": "+44 20 7946 0000",
        "phone_number_verified": True,
    }
    assert (bob["state"], bob["email_verified"], bob["roles"], bob["claims"]) == (
        "disabled",
        False,
        [],
        {"name": "Bob"},
    )


def test_json_lines_say_the_same(idp: Idp, place: Path) -> None:
    """Issue 5: JSON lines with the types of JSON; a null and a missing member are the same; empty lines are nothing."""
    rows = [
        {"username": "ada", "email": "ada@example.org", "email_verified": True, "roles": ["admin"], "nickname": None},
        {"email": "bob@example.org", "address": {"country": "DE"}, "password_hash": HASH},
    ]
    file = written(place, json.dumps(rows[0]), "", json.dumps(rows[1]), name="users.jsonl")
    assert bring(idp, file)["created"] == 2
    ada = idp("user", "show", "acme", "ada", "--json").json
    assert (ada["email"], ada["email_verified"], ada["roles"], ada["has_password"]) == (
        "ada@example.org", True, ["admin"], False,
    )  # fmt: skip
    assert idp("user", "show", "acme", "bob@example.org", "--json").json["claims"] == {"address": {"country": "DE"}}


def test_standard_input_and_the_format_are_named(idp: Idp, place: Path) -> None:
    """Interfaces §2: `-` is standard input; a file whose name says nothing needs --format; usage errors have status 2."""
    assert bring(idp, "-", "--format", "csv", given=f"{HEADER}\n{ADA}\n")["created"] == 1
    file = written(place, HEADER, BOB, name="users.txt")
    assert idp("user", "import", "acme", file).status == 2
    assert idp("user", "import", "acme", "-", "--format", "csv", "--resume").status == 2
    assert idp("user", "import", "acme", str(place / "absent.csv")).status == 2
    assert bring(idp, file, "--format", "csv")["created"] == 1


def test_bad_rows_are_named_and_stop_nothing(idp: Idp, place: Path) -> None:
    """Product rule: each bad row is told with its line and a sentence, the good ones between them are stored; status 1."""
    bad = {
        "not-an-address,true,,,,,": "email address",
        ",true,Nobody,,,,": "neither a username nor an email",
        "c@example.org,perhaps,,,,,": "email_verified must be true or false",
        "d@example.org,,,,secret,,": "password hash",
        "e@example.org,,,,$2b$31$" + "a" * 53 + ",,": "bcrypt cost 31",
        "f@example.org,,,,,Admin!,": "role",
        "g@example.org,,,,,,banned": "state",
        "h@example.org,,\x07,,,,": "claim name",
        "i@example.org,,,": "4 fields",
        'j@example.org,,"a"b,,,,': "cannot be read",
        "ADA@example.org,,,,,,": "Line 2 has the same username",
    }
    file = written(place, HEADER, ADA, *bad, BOB)
    found = bring(idp, file, status=1)
    assert (found["rows"], found["created"], found["bad"]) == (len(bad) + 2, 2, len(bad))
    told = problems(found)
    for line, (row, word) in enumerate(bad.items(), 3):
        assert word in told[line], (row, told[line])
        assert told[line].endswith(".")
    assert names(idp) == ["ada@example.org", "bob@example.org"]
    assert "secret" not in json.dumps(found)


def test_bad_json_lines_are_named(idp: Idp, place: Path) -> None:
    """Product rule: what is no object, nested without end, half a character or of another type is one bad row each."""
    lines = [
        "{",
        "[1]",
        '"x"',
        "[" * 20_000,
        '{"email": "a@example.org", "n": NaN}',
        '{"email": 7}',
        '{"email": "b@example.org", "roles": "admin"}',
        '{"email": "b@example.org", "email_verified": "true"}',
        '{"username": "\\ud800"}',
        '{"email": "\\ud800@example.org"}',
        '{"username": "a\\u0000b"}',
        '{"email": "b@example.org", "password": "clear text"}',
        '{"email": "b@example.org", "sub": "x"}',
        '{"email": "b@example.org", "address": "x"}',
        '{"email": "b@example.org", "zoneinfo": ' + "9" * 6000 + "}",
    ]
    file = written(place, '{"email": "ok@example.org"}', *lines, '{"email": "bob@example.org"}', name="users.ndjson")
    found = bring(idp, file, status=1)
    assert set(problems(found)) == set(range(2, len(lines) + 2))
    assert found["created"] == 2
    assert "clear text" not in json.dumps(found)


def test_a_second_run_changes_nothing(idp: Idp, place: Path) -> None:
    """Issue 5: whoever is there with the same e-mail address is already there; with another address it is another person."""
    file = written(place, HEADER, ADA, BOB)
    bring(idp, file)
    before = idp("user", "list", "acme", "--json").json
    again = bring(idp, file)
    assert (again["created"], again["already_there"], again["bad"]) == (0, 2, 0)
    assert idp("user", "list", "acme", "--json").json == before
    other = written(place, "username,email", "ada@example.org,mallory@example.org", "carol,carol@example.org")
    found = bring(idp, other, status=1)
    assert problems(found) == {2: "There is a user of this name already, with another email address."}
    assert found["created"] == 1


def test_an_address_of_several_accounts_is_a_warning(idp: Idp, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5: who shares an address with another row, or an account that is there, is taken and named; a second run is silent."""
    monkeypatch.setattr(user_import, "BATCH", 3)
    bring(idp, written(place, "username,email", "family,ada@example.org", "eve,eve@example.org", name="before.csv"))
    rows = (
        "ada@example.org,",  # 2: the address of an account that is there
        "bob,team@example.org",
        "carol,Team@Example.org",  # 4: in the same batch
        "dan,dan@example.org",
        "team@example.org,",  # 6: a name, in another batch
        "eve,eve@example.org",
        "erin,",
        "frank,",
    )
    file = written(place, "username,email", *rows)
    tried = bring(idp, file, "--dry-run")
    found = bring(idp, file)
    before, line = "An account that was there before", "Line 3"
    expected = {2: before, 4: line, 6: line}
    for report in (tried, found):
        warned = {each["line"]: each["warning"].partition(" has the same")[0] for each in report["warnings"]}
        assert warned == expected
        assert (report["shared_addresses"], report["created"], report["already_there"]) == (3, 7, 1)
    again = bring(idp, file)
    assert (again["warnings"], again["already_there"]) == ([], 8)
    shown = idp("user", "import", "acme", written(place, "username,email", "gus,eve@example.org", name="more.csv"))
    assert "Warning, line 2: An account that was there before has the same email address." in shown.err
    assert "1 with an address that another account has" in shown.out


def test_an_import_goes_on_where_it_stopped(idp: Idp, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5: --resume begins after the last batch of this very file that is stored; another file begins at its top."""
    monkeypatch.setattr(user_import, "BATCH", 10)
    lines = [f"u{number}@example.org,,,,{HASH},," for number in range(25)]
    file = written(place, HEADER, *lines)
    monkeypatch.setattr(user_import.user_import, "store", _breaking_off(user_import.user_import.store, after=2))
    assert "Stopped" in idp("user", "import", "acme", file).sentence
    monkeypatch.undo()
    for name, value in idp.environ.items():
        monkeypatch.setenv(name, value)
    assert len(names(idp)) == 20
    found = bring(idp, file, "--resume")
    assert (found["began_after_line"], found["rows"], found["created"], found["already_there"]) == (21, 5, 5, 0)
    assert bring(idp, file, "--resume")["rows"] == 0
    assert bring(idp, written(place, HEADER, ADA), "--resume")["began_after_line"] == 0


def _breaking_off(real: Any, after: int) -> Any:
    """An operator who presses Ctrl-C in the middle."""
    done = []

    def store(*arguments: Any, **more: Any) -> Any:
        if len(done) >= after:
            raise KeyboardInterrupt
        done.append(1)
        return real(*arguments, **more)

    return store


def test_a_dry_run_says_the_same_and_stores_nothing(idp: Idp, place: Path) -> None:
    """Issue 5: --dry-run judges rows and who is there, and leaves no user and no event."""
    bring(idp, written(place, HEADER, BOB))
    file = written(place, HEADER, ADA, BOB, "nonsense,,,,,,")
    found = bring(idp, file, "--dry-run", status=1)
    assert (found["created"], found["already_there"], found["bad"], found["dry_run"]) == (1, 1, 1, True)
    assert names(idp) == ["bob@example.org"]


def test_strict_stops_at_the_first_bad_row(idp: Idp, place: Path) -> None:
    """Issue 5: --strict: what came before the bad row is stored, nothing after it."""
    file = written(place, HEADER, ADA, "nonsense,,,,,,", BOB)
    found = bring(idp, file, "--strict", status=1)
    assert (found["stopped"], found["created"], list(problems(found))) == (True, 1, [3])
    assert names(idp) == ["ada@example.org"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        ("\ufeff".encode("utf-16-le") + f"{HEADER}\n".encode("utf-16-le"), "UTF-8"),
        (b"\xff\xfe\xfa", "UTF-8"),
        (b"x" * 200_000, "longer than"),
        (b"name,given_name\n", "neither username nor email"),
        (b"email,password\n", "'password' is not known"),
        (b"email,e-mail\n", "'e-mail' is not known"),
        (b"email,email\n", "twice"),
        (b'email,"na', "header"),
        (b"\x00\x00\x00", "not known"),
        (b"email\rada@example.org\r", "header"),
        (b"[1]\n", "not known"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence(idp: Idp, place: Path, content: bytes, word: str) -> None:
    """Product rule: an empty file, another encoding, a header that cannot be are one sentence and no traceback."""
    path = place / "users.csv"
    path.write_bytes(content)
    assert word in idp("user", "import", "acme", str(path)).sentence


def test_a_json_array_is_told_from_json_lines(idp: Idp, place: Path) -> None:
    """Product rule: the sentence says what to do with the commonest mistake."""
    assert "one object a line" in idp("user", "import", "acme", written(place, "[", name="users.jsonl")).sentence


def test_a_header_alone_brings_nobody(idp: Idp, place: Path) -> None:
    """Issue 5: no rows are no mistake."""
    assert bring(idp, written(place, HEADER))["rows"] == 0


def test_spreadsheets_spellings_are_read(idp: Idp, place: Path) -> None:
    """RFC 4180: a byte order mark, CRLF, semicolons, quoted delimiters, quotation marks and line ends inside fields."""
    file = place / "users.csv"
    text = 'email;name;address\r\n"ada@example.org";"Lovelace; ""Ada""";"12 St James\'s Square\r\nLondon"\r\n\r\nbob@example.org;Bob;\r\n'
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert bring(idp, str(file))["created"] == 2
    claims = idp("user", "show", "acme", "ada@example.org", "--json").json["claims"]
    assert claims == {"name": 'Lovelace; "Ada"', "address": {"formatted": "12 St James's Square\r\nLondon"}}


def test_one_broken_line_costs_no_other(idp: Idp, place: Path) -> None:
    """Product rule: an open quotation mark, bytes that are no UTF-8 and an endless line are one bad row each."""
    file = written(
        place,
        HEADER,
        'x@example.org,,"never closed,,,,',
        ADA,
        b"y@example.org,,\xe9\xe8,,,,",
        b"z" * 3_000_000,
        BOB,
        'w@example.org,,"at the end,,,,',
    )
    found = bring(idp, file, status=1)
    assert names(idp) == ["ada@example.org", "bob@example.org"]
    told = problems(found)
    assert set(told) == {2, 4, 5, 7}
    assert "quotation mark" in told[2]
    assert "UTF-8" in told[4]
    assert "longer than" in told[5]
    assert "quotation mark" in told[7]


class Endless(io.RawIOBase):
    """A line of a gigabyte that is never held as a whole."""

    def __init__(self, size: int) -> None:
        self.left, self.longest = size, 0

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        if self.left is None:
            return b""
        if not self.left:
            self.left = None
            return b"ada@example.org\n"
        assert size is not None
        assert 0 < size <= import_rows.LONGEST_LINE + 1
        taken = min(size, self.left)
        self.left -= taken
        return b"x" * (taken - 1) + (b"x" if self.left else b"\n")


def test_a_line_of_a_gigabyte_is_read_past() -> None:
    """Product rule: no line is held that is longer than a row may be; the rows after it are read."""
    stream = io.BytesIO(b"email\n")
    endless = Endless(1 << 30)

    class Both:
        def readline(self, size: int) -> bytes:
            return stream.readline(size) or endless.readline(size)

    found = list(import_rows.read(Both(), "csv"))  # type: ignore[arg-type]
    assert [(row.line, row.problem is None) for row in found] == [(2, False), (3, True)]
    assert found[1].fields == {"email": "ada@example.org"}


def test_each_user_and_each_batch_is_in_the_audit_trail(idp: Idp, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Security §3, audit: one event a user and one a batch with its counts, in the transaction that made them; no hash in any."""
    monkeypatch.setattr(user_import, "BATCH", 2)
    lines = [f"u{number}@example.org,,,,{HASH},admin," for number in range(5)]
    bring(idp, written(place, HEADER, *lines))
    tenant_id = idp("tenant", "show", "acme", "--json").json["id"]
    with contextlib.closing(sqlite3.connect(idp.folder / "tenants" / f"{tenant_id}.db")) as connection:
        made = connection.execute(
            "SELECT actor, subject, details FROM audit_events WHERE kind = 'user.created'"
        ).fetchall()
        batches = connection.execute(
            "SELECT details FROM audit_events WHERE kind = 'users.imported' ORDER BY seq"
        ).fetchall()
        ids = {row[0] for row in connection.execute("SELECT id FROM users").fetchall()}
    assert {subject for _, subject, _ in made} == ids
    assert [(actor, json.loads(details)) for actor, _, details in made] == [
        ("operator", {"roles": ["admin"], "imported": True})
    ] * 5
    found = [json.loads(details) for (details,) in batches]
    assert [(each["created"], each["first_line"], each["last_line"], each["file"]) for each in found] == [
        (2, 2, 3, "users.csv"),
        (2, 4, 5, "users.csv"),
        (1, 6, 6, "users.csv"),
    ]
    assert HASH.split("$")[2] not in str([made, batches])
    assert idp("audit", "verify", "acme", "--json").json["is_sound"]


KINDS = ["sqlite", "postgresql"]


@pytest.fixture(params=KINDS)
def installed(request: pytest.FixtureRequest, bare: Idp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Idp]:
    """An installation on each kind of database with the tenant acme."""
    with environment(request.param) as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert bare("init").status == 0
        assert bare("tenant", "create", "acme", "--name", "Acme").status == 0
        yield bare


@pytest.mark.slow
def test_ten_thousand_users_with_hashes(installed: Idp, place: Path) -> None:
    """Issue 5: ten thousand rows with hashes, claims and roles are one run; how long it takes is in docs/passwords.md."""
    path = place / "many.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER.split(","))
        for number in range(10_000):
            rows.writerow([f"u{number}@example.org", "true", f"Person {number}", "P", HASH, "member", "active"])
    found = bring(installed, str(path))
    assert (found["created"], found["bad"]) == (10_000, 0)
    again = bring(installed, str(path))
    assert (again["created"], again["already_there"]) == (0, 10_000)
    assert installed("user", "show", "acme", "u9999@example.org", "--json").json["roles"] == ["member"]
    assert installed("audit", "verify", "acme", "--json").json["is_sound"]

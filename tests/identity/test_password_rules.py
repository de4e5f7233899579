"""What a new password must be: SP 800-63B-4 §3.1.1.2, ASVS 6.2; security case S090."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from dataclasses import replace

import pytest
from identity_world import BY, PASSWORD, Server

from idp.errors import Invalid
from idp.identity import accounts, password_rules, word_lists
from idp.identity.authentication import Attempt, SignedIn, sign_in
from idp.identity.password_strength import strength
from idp.identity.passwords import check_new_password
from idp.tenancy.settings import TenantSettings, parse

LENGTH_ONLY = replace(TenantSettings(), password_min_length=8)
ADA = password_rules.names_of(
    "Acme Instruments",
    "countess",
    "ada.lovelace@mail.example",
    {
        "name": "Augusta Ada King-Noel",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "phone_number": "+44 20 7946 0000",
    },
)


def varied(length: int) -> str:
    """A text of a length that no list has and that repeats nothing."""
    return "".join(f"{number * 7919 % 1000}µ" for number in range(60))[:length]


@pytest.mark.parametrize("length", [15, 64, 72, 73, 127, 128])
def test_s090_length_is_all_that_is_asked(length: int) -> None:
    """S090, ASVS 6.2.1, 6.2.9: 15 to 128 characters of any kind may be a password."""
    assert check_new_password(varied(length), TenantSettings()) == []


@pytest.mark.parametrize("password", [varied(14), varied(60) * 3, "x" * 1_000_000, "a\x00" * 20, "\ud800" * 20, ""])
def test_s090_another_length_is_refused_with_one_sentence(password: str) -> None:
    """S090: too short, too long, a megabyte, NUL and no Unicode text are told as what they are, not as anything else too."""
    assert len(check_new_password(password, TenantSettings())) == 1


def test_s090_characters_are_counted_after_normalising() -> None:
    """SP 800-63B-4 §3.1.1.2: each Unicode code point of the NFC text counts as one character; spaces around count."""
    composed, decomposed = (unicodedata.normalize(form, "größeräöüßé ñø") for form in ("NFC", "NFD"))
    assert len(composed) == 14
    assert len(decomposed) > 15
    assert check_new_password(decomposed, TenantSettings())
    assert check_new_password(f"{decomposed} ", TenantSettings()) == []
    assert check_new_password(f" {varied(13)} ", TenantSettings()) == []


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PASSWORD",
        "ｐａｓｓｗｏｒｄ",
        "Password1",
        "password1234567",
        "password!!!!!!!",
        "!!password2026!",
        "P@ssw0rd2026!!!",
        "p4$$w0rd1234567",
        "passwordpassword",
        "passwordpassword1",
        "passwordpasswordpass",
        "pass word pass word",
        "dragon123456789",
        "dragon111111111",
        "iloveyouiloveyou",
        "12345678",
        "123456789012345",
        "abcabcabcabcabc",
        "abcabcabcabcabc!",
        "internationalization",
        "qwertyuiop12345",
        "sunshine-2026",
    ],
)
def test_s090_words_that_are_tried_first_are_refused(password: str) -> None:
    """S090, SP 800-63B-4 §3.1.1.2, ASVS 6.2.4, 6.2.12: a word of the list, however it is dressed up, is no password."""
    found = check_new_password(password, LENGTH_ONLY)
    assert found
    assert "tried first" in found[0] or "repeated" in found[0]


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "plum-kettle-orbit-77",
        "kettle83019482730194",
        "password of my grandmother's aunt",
        "ein Igel frisst Brot",
        "хорошая погода сегодня",
        "今日はとても良い天気ですねと彼は言いました",
        "xxxxxxxxxxxxxxy",
        "83019482730194",
    ],
)
def test_what_only_has_a_listed_word_in_it_is_not_refused(password: str) -> None:
    """SP 800-63B-4 §3.1.1.2: the whole password is compared, not the substrings of it; there are no rules of composition."""
    assert check_new_password(password, LENGTH_ONLY, ADA) == []


@pytest.mark.parametrize(
    "password",
    [
        "AdaLovelace1815",
        "ada.lovelace@mail.example",
        "ada.lovelace@mail.example1",
        "lovelace lovelace",
        "lovelace-LOVELACE!",
        "Countess2026!!!",
        "acme instruments",
        "Instruments-7!x",
        "authsec authsec",
        "AuthSec2026!!!!",
        "xx King-Noel xx",
        "ＡＤＡ Lovelace ?!?!?",
        "L0v3lac3 Lovelace",
        "Àda.Lövelacé!!!!",
        "@da-L0velace1815",
    ],
)
def test_a_persons_own_names_are_refused_as_the_bulk(password: str) -> None:
    """SP 800-63B-4 §3.1.1.2: context-specific words: the person's name, the account's, the tenant's, the product's."""
    found = check_new_password(password, LENGTH_ONLY, ADA)
    assert found
    assert "name of the organisation" in found[0]


@pytest.mark.parametrize(
    "password",
    [
        "josegarcialopez",
        "JoséGarcíaLópez",
        "G4rc1a-L0pez-2026",
        "lukasz mueller!",
        "lukaszmuller123",
        "Łukasz~Müller~1",
        "김민준김민준1234",
    ],
)
def test_a_name_is_refused_however_it_is_spelt(password: str) -> None:
    """SP 800-63B-4 §3.1.1.2: derivatives of the person's name: without accents, spelt out, with signs for letters."""
    names = password_rules.names_of(
        "Acme", "u1", None, {"name": "José García López", "nickname": "Łukasz Müller", "given_name": "김민준"}
    )
    found = check_new_password(password, LENGTH_ONLY, names)
    assert found
    assert "name of the organisation" in found[0]


@pytest.mark.parametrize(
    "password", ["lovelace-kettle-orbit-plum", "acme makes me very tired", "mail.example is not ours"]
)
def test_a_name_among_other_words_is_not_refused(password: str) -> None:
    """SP 800-63B-4 §3.1.1.2: what a name is only the smaller part of may be used; nor is the mail provider's domain a name."""
    assert check_new_password(password, LENGTH_ONLY, ADA) == []


def test_every_way_to_set_a_password_keeps_the_rules(server: Server) -> None:
    """S090: making an account and changing a password refuse a common word and the person's own name, with the field's name."""
    for password in ("password1234567", "AdaLovelace1815"):
        with pytest.raises(Invalid) as refused:
            server.user(password=password, claims={"given_name": "Ada", "family_name": "Lovelace"})
        assert refused.value.errors.keys() == {"password"}
    server.user(claims={"given_name": "Ada", "family_name": "Lovelace"})
    user = accounts.find_user(server.database, "ada@acme.example")
    for password in ("password1234567", "AdaLovelace1815"):
        with pytest.raises(Invalid):
            accounts.set_password(server.database, server.services.hasher, server.tenant, user, password, by=BY)


# -- the estimate ------------------------------------------------------------------------------------------------------


def test_strength_has_five_words_in_order() -> None:
    """SP 800-63B-4 §3.1.1.2: guidance on strength: each stronger example has the next of five words and another sentence."""
    examples = ["password1234567", "orbit-plum", "orbit-plum 42", "plum-kettle-o9", "plum kettle orbit seven geese"]
    found = [strength(text) for text in examples]
    assert [each.level for each in found if each] == [0, 1, 2, 3, 4], found
    assert len({each.word for each in found if each}) == len({each.sentence for each in found if each}) == 5


def test_own_names_make_a_password_weaker() -> None:
    """SP 800-63B-4 §3.1.1.2: the estimate knows the person's names."""
    unknown, known = strength("acmeinstrumentscountess"), strength("acmeinstrumentscountess", ADA)
    assert unknown
    assert known
    assert known.level < unknown.level


@pytest.mark.parametrize("password", ["", "a\x00b", "x" * 129, "\ud800" * 20])
def test_what_is_no_password_has_no_strength(password: str) -> None:
    """S090: nothing is estimated of what no account can have."""
    assert strength(password) is None


@pytest.mark.parametrize(
    "password", ["4@8({[<3691!|170$5+7%2" * 5, "(" * 30 + "[" * 32 + "{<", "1!|7+$5@4369" * 10, "a" * 128, "a1" * 64]
)
def test_the_estimate_of_hostile_text_is_bounded(password: str) -> None:
    """S090: signs that may stand for many letters are not tried in every combination, and no more than 64 characters are read."""
    library = word_lists._library().matching
    text = word_lists._with_few_readings(password[: word_lists.LONGEST], library.L33T_TABLE)
    readings = library.enumerate_l33t_subs(library.relevant_l33t_subtable(text, library.L33T_TABLE))
    assert len(readings) <= 2 * word_lists.MOST_READINGS
    assert word_lists.guesses(password) == word_lists.guesses(password[: word_lists.LONGEST] + "z" * 64)


def test_the_estimate_forgets_whose_it_was() -> None:
    """Security rule 9: names that were given for one estimate are not known to the next."""
    before = word_lists.guesses("acmeinstrumentscountess")
    assert word_lists.guesses("acmeinstrumentscountess", ["acmeinstruments", "countess"]) < before
    assert word_lists.guesses("acmeinstrumentscountess") == before


def test_the_lists_are_loaded_on_first_use() -> None:
    """Architecture §5: a process that sets no password does not hold the lists, nor the library of foreign hashes."""
    program = "import sys, idp.app, idp.cli.user; print([n for n in ('zxcvbn', 'passlib') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def run(program: str) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_SAME = """
from zxcvbn import matching, scoring
lists = {}
for words in matching.RANKED_DICTIONARIES.values():
    for word, rank in words.items():
        lists[word] = min(rank, lists.get(word, rank))
assert len(lists) > 80_000
from idp.identity import word_lists
ranks = word_lists.ranks()
assert len(ranks) == len(lists)
assert {word: ranks[word] for word in lists} == lists
others = {text for word in lists for text in (word[1:], word[:-1], word + word, word[::-1], word + "\u00e9")} - lists.keys()
assert len(others) > 100_000
assert [text for text in others if text in ranks] == []
try:
    ranks["no such word"]
except KeyError:
    pass
else:
    raise AssertionError
def guessed(words, text):
    return scoring.most_guessable_match_sequence(text, matching.omnimatch(text, {"words": words, "names": {}}))["guesses"]
for text in ("password", "P@ssw0rd2026", "plum-kettle-orbit-77", "drowssap", "horse horse horse", "\u4eca\u65e5", "x"):
    assert guessed(ranks, text) == guessed(lists, text) == word_lists.guesses(text), text
print("the same")
"""


def test_the_table_says_what_the_library_s_lists_say() -> None:
    """SP 800-63B-4 §3.1.1.2: every listed word is found with its best rank, nothing else is, and the estimates are the library's."""
    assert run(_SAME) == "the same"


_RESIDENT = """
import idp.app
from idp.identity import word_lists
def resident():
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
before = resident()
word_lists.guesses("plum kettle orbit")
assert "password" in word_lists.ranks()
print(resident() - before)
"""


def test_the_lists_cost_a_worker_little() -> None:
    """Architecture §5, budgets: the lists and the estimate take less than 6 MiB of a worker's memory for good."""
    assert int(run(_RESIDENT)) < 6 * 1024


# -- history ----------------------------------------------------------------------------------------------------------


def change(server: Server, password: str) -> None:
    """Give ada another password."""
    user = accounts.find_user(server.database, "ada@acme.example")
    accounts.set_password(server.database, server.services.hasher, server.tenant, user, password, by=BY)


def former(server: Server) -> int:
    """How many former passwords are kept."""
    return len(server.rows("SELECT seq FROM password_history"))


def test_without_the_setting_nothing_is_kept(any_server: Server) -> None:
    """SP 800-63B-4 asks for no history: by default a password may come back and no former hash is stored."""
    any_server.user()
    change(any_server, "geese-lantern-verb-1")
    change(any_server, PASSWORD)
    assert former(any_server) == 0


def test_the_latest_passwords_cannot_come_back(any_server: Server) -> None:
    """Setting password_history: the present password and the former ones it counts are refused, an older one is not."""
    any_server.user()
    strict = any_server.with_settings(password_history=3)
    for number in (1, 2):
        change(strict, f"geese-lantern-verb-{number}")
    for password in ("geese-lantern-verb-2", "geese-lantern-verb-1", PASSWORD):
        with pytest.raises(Invalid, match="had before"):
            change(strict, password)
    assert former(strict) == 2
    change(strict, "geese-lantern-verb-3")
    assert former(strict) == 2
    change(strict, PASSWORD)


def test_a_shorter_history_is_trimmed_and_a_deleted_user_takes_it_along(any_server: Server) -> None:
    """Data protection: no more former hashes are kept than the tenant asks for, and none of somebody who is gone."""
    user_id = any_server.user()
    any_server.user("bob@acme.example")
    strict = any_server.with_settings(password_history=24)
    for number in range(4):
        change(strict, f"geese-lantern-verb-{number}")
    assert former(strict) == 4
    change(any_server.with_settings(password_history=2), "geese-lantern-verb-5")
    assert former(strict) == 1
    change(any_server, "geese-lantern-verb-6")
    assert former(strict) == 0
    change(strict, "geese-lantern-verb-7")
    accounts.delete_user(strict.database, user_id, by=BY)
    assert former(strict) == 0


def test_the_changed_password_opens_and_the_former_does_not(any_server: Server) -> None:
    """ASVS 6.2.3: what the history keeps is only compared with new passwords, never signed in with."""
    any_server.user()
    change(any_server.with_settings(password_history=5), "geese-lantern-verb-1")
    for password, opens in (("geese-lantern-verb-1", True), (PASSWORD, False)):
        found = sign_in(any_server, Attempt("ada@acme.example", password, "192.0.2.1", "C" * 16), lambda _c, _u: None)
        assert isinstance(found, SignedIn) is opens


@pytest.mark.parametrize("seconds", ["1", "86399"])
def test_an_age_below_a_day_is_refused(seconds: str) -> None:
    """Setting password_max_age: an age of seconds would leave nobody in."""
    with pytest.raises(Invalid, match="password_max_age"):
        parse({"password_max_age": seconds}, {})
    assert parse({"password_max_age": "86400"}, {}) == {"password_max_age": 86400}

"""The words that guessers try first: zxcvbn's frequency lists and its estimate of how many guesses a text takes.

Loaded on first use and not on the event loop's thread. The six lists (frequent passwords, English words, names, film subtitles)
become one table of fingerprints and ranks: as strings in dictionaries, which is how the library has them, they take ten times
the memory in each worker, and the estimate several times as long. The estimate is bounded: its input is cut, and a text with
many letters that digits and signs may stand for, which would take seconds, loses some of them. Must not know rules or sentences.
"""

from __future__ import annotations

import ast
import math
import sys
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from idp import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

LONGEST = 64  # characters that are estimated; what follows only makes a password stronger
MOST_READINGS = 8  # of the signs of one text as letters
_SLOTS = 1 << 17  # of the table; a power of two


class Ranks:
    """The rank of every listed word, as the estimate asks for it: ``word in ranks``, ``ranks[word]``.

    Of a word its 64-bit hash is kept, which the interpreter keys anew in each process: of 10¹⁴ texts that are not listed one is
    taken for a word. A slot that is taken leads on to the next; two thirds of them are.
    """

    __slots__ = ("_marks", "_ranks", "longest")

    def __init__(self, lists: Iterable[Iterable[str]]) -> None:
        """Take lists of words, each with the most frequent first; of a word in several the best rank counts."""
        self._marks, self._ranks = array("q", bytes(8 * _SLOTS)), array("H", bytes(2 * _SLOTS))
        self.longest = 0
        for words in lists:
            for rank, word in enumerate(words, 1):
                self._add(word, rank)

    def _add(self, word: str, rank: int) -> None:
        at = self._slot(word)
        if not self._marks[at] or rank < self._ranks[at]:
            self._marks[at], self._ranks[at] = hash(word), rank
            self.longest = max(self.longest, len(word))

    def _slot(self, word: str) -> int:
        """Return where a word stands, or would."""
        marks, mark = self._marks, hash(word)
        at = mark & (_SLOTS - 1)
        while (found := marks[at]) and found != mark:
            at = (at + 1) & (_SLOTS - 1)
        return at

    def __contains__(self, word: str) -> bool:
        """Say whether a word, in lower case, is listed."""
        return 0 < len(word) <= self.longest and self._marks[self._slot(word)] != 0

    def __getitem__(self, word: str) -> int:
        """Return a listed word's rank; 1 is the most frequent of its list."""
        if word not in self:
            raise KeyError(word)
        return self._ranks[self._slot(word)]

    def __len__(self) -> int:
        """Return how many words are listed."""
        return sum(mark != 0 for mark in self._marks)


class _Loaded(NamedTuple):
    ranks: Ranks
    matching: Any
    scoring: Any


_pool = ThreadPoolExecutor(1, thread_name_prefix="words")
_guard = threading.Lock()
_loaded: list[_Loaded] = []


def elsewhere(function: Callable[[], T]) -> T:
    """Return what a function returns that uses the lists; a task steps aside meanwhile."""
    return waiting.elsewhere(_pool, function)


def ranks() -> Ranks:
    """Return the rank of every listed word, in lower case; 1 is the most frequent of its list."""
    return _library().ranks


def guesses(text: str, names: Iterable[str] = ()) -> float:
    """Return how many guesses a text takes of somebody who knows the lists and ``names``."""
    loaded = _library()
    text = _with_few_readings(text[:LONGEST], loaded.matching.L33T_TABLE)
    own = {name.lower(): rank for rank, name in enumerate(names, 1)}
    found = loaded.matching.omnimatch(text, {"words": loaded.ranks, "names": own})
    return float(loaded.scoring.most_guessable_match_sequence(text, found)["guesses"])


def _library() -> _Loaded:
    with _guard:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0]


def _load() -> _Loaded:
    # The module that holds the lists is read, never imported: an import alone makes a hundred thousand strings.
    empty = ModuleType("zxcvbn.frequency_lists")
    vars(empty)["FREQUENCY_LISTS"] = {}
    sys.modules.setdefault(empty.__name__, empty)
    from zxcvbn import matching, scoring  # type: ignore[import-untyped]

    del sys.modules[empty.__name__]
    merged = Ranks(_lists())
    # In its own place too: the library looks there when it estimates the piece of a repetition.
    matching.RANKED_DICTIONARIES.clear()
    matching.RANKED_DICTIONARIES["words"] = merged
    return _Loaded(merged, matching, scoring)


def _lists() -> Iterator[list[str]]:
    """Yield the library's lists one after the other; each is written as one text with commas, split when it is imported."""
    source = files("zxcvbn").joinpath("frequency_lists.py").read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(",") > 1:
            yield node.value.split(",")


def _with_few_readings(text: str, table: Mapping[str, list[str]]) -> str:
    """Return the text with so few signs that may be letters that the library can try each reading of them."""
    present = [found for signs in table.values() if (found := [sign for sign in signs if sign in text])]
    if math.prod(map(len, present)) <= MOST_READINGS:
        return text
    kept = {signs[0] for signs in present}
    return "".join('"' if any(char in signs for signs in present) and char not in kept else char for char in text)

"""The words that guessers try first: zxcvbn's frequency lists and its estimate of how many guesses a text takes.

Loaded on first use and not on the event loop's thread: 40 ms, and 16 MiB that a process which sets no password never pays.
The six lists (frequent passwords, English words, names, film subtitles) become one, which makes the estimate several times
quicker. The estimate is bounded: its input is cut, and a text with many letters that digits and signs may stand for, which
would take seconds, loses some of them. Must not know rules or sentences.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from idp import waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")

LONGEST = 64  # characters that are estimated; what follows only makes a password stronger
MOST_READINGS = 8  # of the signs of one text as letters


class _Loaded(NamedTuple):
    ranks: dict[str, int]
    matching: Any
    scoring: Any


_pool = ThreadPoolExecutor(1, thread_name_prefix="words")
_guard = threading.Lock()
_loaded: list[_Loaded] = []


def elsewhere(function: Callable[[], T]) -> T:
    """Return what a function returns that uses the lists; a task steps aside meanwhile."""
    return waiting.elsewhere(_pool, function)


def ranks() -> Mapping[str, int]:
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
    from zxcvbn import matching, scoring  # type: ignore[import-untyped]

    merged: dict[str, int] = {}
    for words in matching.RANKED_DICTIONARIES.values():
        for word, rank in words.items():
            if merged.get(word, rank) >= rank:
                merged[word] = rank
    # In its own place too: the library looks there when it estimates the piece of a repetition.
    matching.RANKED_DICTIONARIES.clear()
    matching.RANKED_DICTIONARIES["words"] = merged
    matching.FREQUENCY_LISTS.clear()
    return _Loaded(merged, matching, scoring)


def _with_few_readings(text: str, table: Mapping[str, list[str]]) -> str:
    """Return the text with so few signs that may be letters that the library can try each reading of them."""
    present = [found for signs in table.values() if (found := [sign for sign in signs if sign in text])]
    if math.prod(map(len, present)) <= MOST_READINGS:
        return text
    kept = {signs[0] for signs in present}
    return "".join('"' if any(char in signs for signs in present) and char not in kept else char for char in text)

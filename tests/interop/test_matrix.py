"""docs/interop.md as a whole; each of its cells is compared by the test that shows it."""

from __future__ import annotations

import matrix


def test_the_committed_page_is_current() -> None:
    """Architecture, conventions: the page is what `make interop` would write, with the versions that are locked."""
    text = matrix.PAGE.read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| version |"))
    versions = dict(zip(matrix.CLIENTS, [cell.strip() for cell in row.strip("|").split("|")][2:], strict=True))
    shown = {cell for cell, says in matrix.committed().items() if says == "yes"}
    assert text == matrix.render(shown, versions), "run: make interop"
    assert versions | matrix.versions() == versions, "other versions are locked; run: make interop"


def test_every_cell_is_shown_or_explained() -> None:
    """Issue, must show: each client does each feature, or the page says why it cannot."""
    everything = {(client, feature) for client in matrix.CLIENTS for feature in matrix.FEATURES}
    cells = matrix.committed()
    assert cells.keys() == everything
    assert {cell for cell, says in cells.items() if says != "yes"} == matrix.CANNOT.keys()

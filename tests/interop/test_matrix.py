"""docs/interop.md as a whole; each of its cells is compared by the test that shows it."""

from __future__ import annotations

import matrix


def test_the_committed_page_is_current() -> None:
    """Architecture, conventions: the page is what `make interop` would write, with the versions that are locked."""
    text = matrix.PAGE.read_text("utf-8")
    rows = [matrix.cells_of(line)[2:] for line in text.splitlines() if line.startswith("| version |")]
    versions: dict[str, str] = {}
    for table, row in zip(matrix.TABLES, rows, strict=True):
        versions |= dict(zip(table.clients, row, strict=True))
    shown = {cell for cell, says in matrix.committed().items() if says == "yes"}
    assert text == matrix.render(shown, versions), "run: make interop"
    assert versions | matrix.versions() == versions, "other versions are locked; run: make interop"


def test_every_cell_is_shown_or_explained() -> None:
    """Issue, must show: each client does each feature, or the page says why it cannot."""
    everything = {(client, name) for table in matrix.TABLES for client in table.clients for name in table.features}
    cells = matrix.committed()
    assert cells.keys() == everything
    assert {cell for cell, says in cells.items() if says != "yes"} == matrix.CANNOT.keys()

"""Static files: only what stood in the folder is served, under addresses that name their content."""

from __future__ import annotations

import re

import pytest

from idp.folders import packaged
from idp.web import pages
from idp.web.pages import static_file, static_url

STATIC = packaged("static")


def test_the_stylesheet_is_served():
    """RFC 9110 §8.3, §8.8.3: content type and a strong entity tag."""
    found = static_file("idp.css")
    assert found.body == (STATIC / "idp.css").read_bytes()
    assert found.content_type == "text/css; charset=utf-8"
    assert re.fullmatch(r'"[0-9a-f]{16}"', found.etag)


def test_the_address_names_the_content():
    """RFC 9111 §4.2: cached for ever, so the address carries the content's hash."""
    assert static_url("idp.css") == f"/static/idp.css?v={static_file('idp.css').etag[1:-1]}"
    with pytest.raises(LookupError):
        static_url("missing.css")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../setup.cfg",
        "..%2fsetup.cfg",
        "../static/idp.css",
        "./idp.css",
        "/idp.css",
        "/etc/passwd",
        "..\\setup.cfg",
        "idp.css/",
        "idp.css\x00",
        "IDP.CSS",
        "missing.css",
    ],
)
def test_traversal_is_refused(name):
    """ASVS 5.0 §5.3.2: a name is looked up in a list, never joined to a path."""
    assert static_file(name) is None


def test_only_known_kinds_and_no_links(tmp_path, monkeypatch):
    """ASVS 5.0 §5.3.2: a symbolic link or a file of another kind in the folder is not served."""
    (tmp_path / "real.css").write_text("a{}")
    (tmp_path / "secret.env").write_text("x")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "real.js").write_text("1")
    (tmp_path / "link.css").symlink_to("/etc/passwd")
    monkeypatch.setattr(pages, "packaged", lambda _name: tmp_path)
    assert set(pages._static_files.__wrapped__()) == {"real.css", "demo/real.js"}

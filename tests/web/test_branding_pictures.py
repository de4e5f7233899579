"""Pictures of a tenant's brand: what may be uploaded, and how it is served (OWASP ASVS 5.2, 5.3; Security "Browser rules")."""

from __future__ import annotations

import struct
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from databases import environment
from house import House

from idp.errors import Invalid
from idp.flow.assets import KINDS, address
from idp.store.tenant import assets
from idp.web import images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from idp.tenancy.tenant import Tenant


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 40, height: int = 20, before: bytes = b"") -> bytes:
    """A picture as a drawing program writes it, with something ``before`` its pixels."""
    rows = zlib.compress(b"".join(b"\x00" + b"\x7b\x1f\xa2" * width for _ in range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """The segments of a JPEG up to its frame."""
    comment = b"\xff\xfe" + struct.pack(">H", 6) + b"\xff\xc0\xff\xd8"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return (
        b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9) + comment + b"\xff" + frame + b"\xff\xd9"
    )


def webp(kind: bytes, body: bytes) -> bytes:
    """A container with one chunk."""
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


LOSSY = webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 300, 200) + bytes(4))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 199 << 14) + bytes(4))
MOVING_PNG = png(before=chunk(b"tEXt", b"Title\x00acTL") + chunk(b"acTL", struct.pack(">II", 500, 0)))
MOVING_WEBP = webp(b"VP8X", b"\x02" + bytes(3) + (299).to_bytes(3, "little") + (199).to_bytes(3, "little") + bytes(4))
EXTENDED = webp(b"VP8X", bytes(4) + (299).to_bytes(3, "little") + (199).to_bytes(3, "little") + bytes(4))


@pytest.mark.parametrize(
    ("body", "kind", "size"),
    [
        (png(), "image/png", (40, 20)),
        (png(1024, 1), "image/png", (1024, 1)),
        (png(before=chunk(b"tEXt", b"Title\x00acTL")), "image/png", (40, 20)),
        (jpeg(300, 200), "image/jpeg", (300, 200)),
        (LOSSY, "image/webp", (300, 200)),
        (LOSSLESS, "image/webp", (300, 200)),
        (EXTENDED, "image/webp", (300, 200)),
    ],
)
def test_a_picture_is_known_by_its_bytes(body: bytes, kind: str, size: tuple[int, int]) -> None:
    """ASVS 5.2.2: PNG, JPEG and WebP by their own headers, with the size that they say."""
    found = images.check(body)
    assert (found.media_type, (found.width, found.height)) == (kind, size)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "no PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "no PNG"),
        (b"<!doctype html><script>alert(1)</script>", "no PNG"),
        (b"GIF89a" + bytes(100), "no PNG"),
        (b"\x89PNG\r\n\x1a\n", "no PNG"),
        (png()[:-12], "no PNG"),
        (png()[:20], "no PNG"),
        (b"\xff\xd8\xff", "no PNG"),
        (b"\xff\xd8" + b"\xff" * 5000, "no PNG"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 50, "no PNG"),
        (b"\xff\xd8\xff\xe0\xff\xff" + bytes(10), "no PNG"),
        (jpeg(300, 200)[:30], "no PNG"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40), "no PNG"),
        (webp(b"VP8 ", bytes(20)), "no PNG"),
        (webp(b"VP8L", b""), "no PNG"),
        (webp(b"EVIL", bytes(20)), "no PNG"),
        (png(1025, 1), "1025 by 1"),
        (jpeg(1, 60_000), "1 by 60000"),
        (jpeg(0, 0), "0 by 0"),
        (png() + bytes(images.LARGEST), "KiB"),
        (png(before=struct.pack(">I", 2**31) + b"tEXt"), "no PNG"),
        (MOVING_PNG, "moves"),
        (MOVING_WEBP, "moves"),
    ],
    ids=range(23),
)
def test_what_is_no_picture_is_refused(body: bytes, word: str) -> None:
    """ASVS 5.2.1, 5.2.2: other files, SVG above all, broken ones, too many bytes or pixels: one sentence, no exception of another kind."""
    with pytest.raises(Invalid, match=word):
        images.check(body)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[House, Tenant]]:
    """A tenant on each kind of database."""
    with environment(request.param) as environ:
        house = House(tmp_path / "var", **environ)
        yield house, house.tenant("acme")
        house.close()


def keep(house: House, tenant: Tenant, kind: str, body: bytes) -> str:
    """Keep a picture as the command does; returns its address below the tenant."""
    digest = sha256(body).hexdigest()
    house.database(tenant).writing(
        lambda conn: assets.put(conn, kind, media_type="image/png", digest=digest, body=body)
    )
    house.installation.provisioning.change_settings(tenant, {KINDS[kind]: address(kind, digest)})
    return address(kind, digest)


def test_a_picture_is_served_for_ever_and_can_do_nothing(place: tuple[House, Tenant]) -> None:
    """ASVS 5.3, RFC 9111 §4.2: its own type, nosniff, a sandbox, cacheable under its digest only; replaced, it has another address."""
    house, tenant = place
    first = keep(house, tenant, "logo", png())
    answer = house.get(tenant, first)
    assert (answer.status, answer.body, answer.header("content-type")) == (200, png(), "image/png")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("content-security-policy") == "default-src 'none'; sandbox"
    assert "immutable" in (answer.header("cache-control") or "")
    assert answer.header("set-cookie") is None
    second = keep(house, tenant, "logo", png(8, 8))
    assert second != first
    assert house.get(tenant, second).body == png(8, 8)
    old = house.get(tenant, first)
    assert (old.body, old.header("cache-control")) == (png(8, 8), "public, max-age=60")


@pytest.mark.parametrize("path", ["/brand/logo", "/brand/favicon?v=x", "/brand/background", "/brand/logo-dark"])
def test_what_is_not_there_is_404(place: tuple[House, Tenant], path: str) -> None:
    """RFC 9110 §15.5.5: no picture of that kind: 404 that nobody keeps; an unknown kind has no address at all."""
    house, tenant = place
    answer = house.get(tenant, path)
    assert (answer.status, answer.header("cache-control")) == (404, "no-store")
    assert house.get(tenant, "/brand/other").status == 404


def test_every_picture_stands_on_the_pages(place: tuple[House, Tenant]) -> None:
    """Security "Browser rules": the pages show them from ourselves, so their policy names no other origin."""
    house, tenant = place
    made = {kind: keep(house, tenant, kind, png(8, 8 + number)) for number, kind in enumerate(KINDS)}
    page = house.browser(tenant).get(f"{tenant.base_path}/")
    for path in made.values():
        assert f'="{tenant.base_path}{path}"' in page.text, path
    assert "img-src 'self';" in (page.header("content-security-policy") or "")


def test_the_policy_names_the_origins_of_the_brand_and_no_more(place: tuple[House, Tenant]) -> None:
    """CSP3 §6.1: img-src is ourselves and the origins that the tenant's settings name."""
    house, tenant = place
    urls = {name: f"https://{name.replace('_', '-')}.example/x.png" for name in KINDS.values()}
    house.installation.provisioning.change_settings(tenant, urls)
    page = house.browser(tenant).get(f"{tenant.base_path}/")
    sources = " ".join(f"https://{name.replace('_', '-')}.example" for name in KINDS.values())
    assert f"img-src 'self' {sources};" in (page.header("content-security-policy") or "")

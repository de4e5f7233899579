"""Which pictures a tenant may upload: PNG, JPEG or WebP by their own bytes, small in bytes and in pixels; never SVG, which is a document.

Only headers are read, nothing is decoded: browsers do that, with an honest type and in a sandbox. Must not know tenants.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import error, unpack_from

from idp.errors import Invalid

LARGEST = 256 * 1024  # bytes
WIDEST = 1024  # pixels, of each side

# JPEG (ITU-T T.81 §B.1.1.3): the start-of-frame markers, which carry the size, and those without a length.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture says of itself."""

    media_type: str
    width: int
    height: int
    moves: bool = False


def check(body: bytes) -> Picture:
    """Return what a picture is; raises :class:`Invalid` with a sentence for whoever uploads it."""
    if len(body) > LARGEST:
        raise Invalid(f"The picture has more than {LARGEST // 1024} KiB.")
    try:
        found = _png(body) or _jpeg(body) or _webp(body)
    except (error, IndexError):
        found = None
    if found is None:
        raise Invalid("This is no PNG, JPEG or WebP picture.")
    if not (1 <= found.width <= WIDEST and 1 <= found.height <= WIDEST):
        raise Invalid(f"The picture has {found.width} by {found.height} pixels; at most {WIDEST} a side.")
    if found.moves:
        # WCAG 2.2 §2.2.2: nobody could stop it. And a small file may hold hundreds of frames, each as large as the picture.
        raise Invalid("The picture moves; give one that stands still.")
    return found


def _png(body: bytes) -> Picture | None:
    # W3C PNG §5.2, §11.2.1: the signature, then the header chunk.
    if body[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" or b"IEND" not in body[-12:]:
        return None
    width, height = unpack_from(">II", body, 16)
    return Picture("image/png", width, height, moves=_png_moves(body))


def _png_moves(body: bytes) -> bool:
    # W3C PNG §11.3.6.1: what moves says so before its first frame.
    at = 8
    while (kind := body[at + 4 : at + 8]) != b"IDAT":
        if kind == b"acTL":
            return True
        at += 12 + unpack_from(">I", body, at)[0]
    return False


def _jpeg(body: bytes) -> Picture | None:
    if body[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while body[at] == 0xFF:
        marker = body[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _FRAMES:
            height, width = unpack_from(">HH", body, at + 5)
            return Picture("image/jpeg", width, height)
        else:
            at += 2 + max(2, unpack_from(">H", body, at + 2)[0])
    return None


def _webp(body: bytes) -> Picture | None:
    # RFC 9649 §2.3 to §2.7: a RIFF container whose first chunk says the size.
    if body[:4] != b"RIFF" or body[8:12] != b"WEBP" or unpack_from("<I", body, 4)[0] + 8 > len(body) + 1:
        return None
    kind = body[12:16]
    if kind == b"VP8 " and body[23:26] == b"\x9d\x01\x2a":
        width, height = unpack_from("<HH", body, 26)
        return Picture("image/webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and body[20] == 0x2F:
        bits = unpack_from("<I", body, 21)[0]
        return Picture("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[start : start + 3], "little") + 1 for start in (24, 27))
        return Picture("image/webp", width, height, moves=bool(body[20] & 0x02))
    return None

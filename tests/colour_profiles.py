"""Colour profiles written byte by byte (ICC.1:2001-04), so that tests do not compare LittleCMS with itself."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
D65 = (0.95047, 1.0, 1.08883)
# Bradford's cone responses (Lindbloom).
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))


def rgb_profile(primaries, gamma):
    """A profile of three primaries (x, y) and white D65, whose curves are powers."""
    tags = {f"{name}XYZ": _xyz(column) for name, column in zip("rgb", _adapted(_to_xyz(primaries)).T, strict=True)}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | {f"{name}TRC": _power(gamma) for name in "rgb"})


def grey_profile(gamma):
    """A profile of grey pixels whose light is a power of them."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {"kTRC": _power(gamma)})


def cmyk_profile(colours):
    """A profile that leads from CMYK to Lab, and not back.

    Args:
        colours: dict from (c, m, y, k), each 0 or 1, to (L, a, b). Between them it is linear; other inks are black.
    """
    inks = [tuple((node >> shift) & 1 for shift in (3, 2, 1, 0)) for node in range(16)]
    grid = b"".join(bytes(_lab(*colours.get(ink, (0, 0, 0)))) for ink in inks)
    head = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, 2, 0)
    identity = b"".join(struct.pack(">i", 65536 * (place % 4 == 0)) for place in range(9))
    table = head + identity + 4 * bytes(range(256)) + grid + 3 * bytes(range(256))
    return _profile(b"prtr", b"CMYK", b"Lab ", {"A2B0": table, "A2B1": table})


def lab(srgb):
    """CIE Lab for D50 of an sRGB colour of levels 0 to 255."""
    values = np.array(srgb) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = _adapted(_to_xyz(SRGB)) @ linear / D50
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return 116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])


def _to_xyz(primaries):
    """Linear light of three primaries with white D65 to XYZ."""
    xyz = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    return xyz * np.linalg.solve(xyz, D65)


def _adapted(to_xyz):
    """The same for white D50."""
    return np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD @ to_xyz


def _lab(lightness, a, b):
    return round(lightness * 255 / 100), round(a + 128), round(b + 128)


def _xyz(values):
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def _power(gamma):
    return struct.pack(">4sIIH", b"curv", 0, 1, round(256 * gamma))


def _profile(kind, space, connection, tags):
    text = b"a test's profile\0"
    description = struct.pack(">4sII", b"desc", 0, len(text)) + text + bytes(78)
    tags = {"desc": description, "cprt": b"text" + bytes(4) + text, "wtpt": _xyz(D50), **tags}
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(D50)[8:]
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data

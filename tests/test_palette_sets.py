"""The named palettes are what their machines had."""

import numpy as np
import pytest

from kmeans_c import Palette
from kmeans_c.palette_sets import named_palette, named_palettes

SIZES = {
    "black-and-white": 2, "grey4": 4, "grey16": 16, "web-safe": 216, "vga16": 16, "cga": 16,
    "cga-0": 4, "cga-0-bright": 4, "cga-1": 4, "cga-1-bright": 4, "ega": 64, "xterm": 240,
    "bbc-micro": 8, "zx-spectrum": 15, "amstrad-cpc": 27, "c64": 16, "game-boy": 4, "pico-8": 16,
    "e-ink-bwr": 3, "e-ink-bwry": 4, "e-ink-7": 7, "e-ink-spectra-6": 6, "okabe-ito": 8,
}  # fmt: skip


def colors(name):
    return [tuple(color) for color in named_palette(name).colors.tolist()]


def test_each_has_its_size_and_its_source():
    assert {name: len(named_palette(name)) for name in named_palettes()} == SIZES
    for source in named_palettes().values():
        assert source.endswith(".")
        assert len(source) > 10


@pytest.mark.parametrize("name", SIZES)
def test_each_is_opaque_and_without_counts(name):
    palette = named_palette(name)
    assert palette.colors.shape == (SIZES[name], 3)
    assert palette.counts is None
    assert named_palette(f" {name.upper().replace('-', '_')} ") == palette


def test_cubes_are_cubes():
    for name, levels in [
        ("web-safe", [0, 51, 102, 153, 204, 255]),
        ("amstrad-cpc", [0, 128, 255]),
        ("bbc-micro", [0, 255]),
        ("ega", [0, 85, 170, 255]),
    ]:
        cube = {(r, g, b) for r in levels for g in levels for b in levels}
        assert set(colors(name)) == cube


def test_machines_share_what_they_share():
    assert set(colors("cga")) <= set(colors("ega"))
    for name in ("cga-0", "cga-0-bright", "cga-1", "cga-1-bright"):
        assert set(colors(name)) <= set(colors("cga"))
    assert colors("ega")[:6] == colors("cga")[:6]
    assert colors("ega")[0b010100] == (0xAA, 0x55, 0)  # the 5153's brown, in EGA's own bits
    assert set(colors("e-ink-bwr")) < set(colors("e-ink-bwry")) < set(colors("e-ink-spectra-6"))
    assert set(colors("e-ink-spectra-6")) < set(colors("e-ink-7"))


def test_numbers_of_machines_by_their_own_rules():
    assert colors("amstrad-cpc")[1] == (0, 0, 128)
    assert colors("amstrad-cpc")[3] == (128, 0, 0)
    assert colors("amstrad-cpc")[9] == (0, 128, 0)
    assert colors("zx-spectrum")[2] == (0xD8, 0, 0)
    xterm = colors("xterm")
    for number in range(16, 232):
        steps = divmod(number - 16, 36)
        r, (g, b) = steps[0], divmod(steps[1], 6)
        assert xterm[number - 16] == tuple(55 + 40 * v if v else 0 for v in (r, g, b))
    assert xterm[216:] == [(8 + 10 * i,) * 3 for i in range(24)]
    assert [r for r, _, _ in colors("grey16")] == [17 * i for i in range(16)]
    assert colors("pico-8")[8] == (255, 0, 77)
    assert np.diff([g for _, g, _ in colors("game-boy")]).min() > 0


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ValueError, match=r"name: expected one of black-and-white, .*, got 'nes'"):
        named_palette("nes")
    with pytest.raises(TypeError, match="name: expected a str, got int"):
        named_palette(8)


def test_a_set_serves_as_a_palette():
    assert isinstance(named_palette("pico-8"), Palette)
    pixels = np.array([[[250, 0, 80], [1, 1, 1]]], np.uint8)
    assert named_palette("pico-8").map(pixels).tolist() == [[8, 0]]

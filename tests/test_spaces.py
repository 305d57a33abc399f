"""Working spaces: tables that no C library can change, and coordinates that are what they say."""

import zlib
from decimal import Decimal, localcontext

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kmeans_c import Palette, mapping, quantize, spaces
from kmeans_c.clustering import Clusters, fit
from kmeans_c.histogram import Histogram
from kmeans_c.mapping import map_counted
from kmeans_c.method import as_method
from kmeans_c.seeding import Draw

OTHERS = [space for space in spaces.SPACES if space != "srgb"]
BENT = ["oklab", "lab"]

OKLAB_ROWS = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
ZERO = {"linear": (0, 0, 0), "oklab": (0, 8192, 8192), "lab": (0, 8192, 8704)}
MIDDLE = {"linear": (8160,) * 3, "oklab": (8160, 8192, 8192), "lab": (4000, 8192, 8704)}
HALF = {"linear": 8160 * 3**0.5, "oklab": 8160, "lab": 4000}
SCALE = {"linear": 16320, "oklab": 16320, "lab": 80}

# What a coordinate may be away from the real number: a half for rounding, the rest for the tables.
WITHIN = 0.52


def linear_light(colors):
    value = colors / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def real_numbers(colors, space):
    """(n, 3) in the space's own units, from the published formulas in float64."""
    light = linear_light(colors)
    if space == "linear":
        return light
    if space == "oklab":
        red, green, blue = light.T
        roots = np.cbrt(
            [
                0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue,
                0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue,
                0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue,
            ]
        )
        return (np.array(OKLAB_ROWS) @ roots).T
    # The primaries and the white of IEC 61966-2-1 by their chromaticities.
    x, y = np.array([0.64, 0.30, 0.15]), np.array([0.33, 0.60, 0.06])
    primaries = np.stack([x / y, np.ones(3), (1 - x - y) / y])
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    to_xyz = primaries * np.linalg.solve(primaries, white)
    ratio = light @ to_xyz.T / white
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


def places(colors, space):
    """Coordinates as rows, without the padding."""
    return np.ascontiguousarray(spaces.coordinates(colors, space)[:, : len(colors)].T)


def lattice(step):
    axis = np.append(np.arange(0, 255, step), 255).astype(np.uint8)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def squared(a, b):
    return ((a.astype(np.int64) - b) ** 2).sum(axis=-1)


colors_of = {
    channels: arrays(np.uint8, st.tuples(st.integers(1, 30), st.just(channels)))
    for channels in (1, 3, 4)
}


# No table can differ between machines.


def exact_light():
    """Linear light of the channel values to 50 digits."""
    light = []
    for value in range(256):
        v = Decimal(value) / 255
        if v <= Decimal("0.04045"):
            light.append(v / Decimal("12.92"))
        else:
            light.append(((v + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4"))
    return light


def is_rounded(table, exact, error):
    """The table holds the exact numbers rounded, and none is within `error` of a half."""
    assert len(table) == len(exact)
    for entry, number in zip(table, exact, strict=True):
        assert abs(number - int(entry)) < Decimal("0.5") - Decimal(error)


@pytest.mark.parametrize("space", BENT)
def test_mixing_is_far_from_halves(space):
    mixing = spaces.tables_of(space).mixing
    shares = spaces.TO_XYZ if space == "lab" else spaces.TO_LMS
    with localcontext() as context:
        context.prec = 50
        light = exact_light()
        for row in range(3):
            share = [Decimal(s) for s in shares[row]]
            for channel in range(2):
                exact = [spaces.LIGHT * v * share[channel] / sum(share) for v in light]
                # 64 units in the last place of a float64.
                is_rounded(mixing[channel, :, row], exact, 64 * 2.0 ** (30 - 53))
            neutral = [spaces.LIGHT * v for v in light]
            is_rounded(mixing[:, :, row].sum(axis=0), neutral, 64 * 2.0 ** (30 - 53))


def test_linear_greys_are_far_from_halves():
    with localcontext() as context:
        context.prec = 50
        exact = [16320 * v for v in exact_light()]
    is_rounded(spaces.tables_of("linear").greys, exact, 64 * 2.0 ** (14 - 53))


@pytest.mark.parametrize("space", BENT)
def test_curves_are_far_from_halves(space):
    curve = spaces.tables_of(space).curve
    octaves = spaces.OCTAVES
    nodes = [(256 + step << octave) >> 8 for octave in octaves for step in range(256)]
    nodes = [0, *nodes[1:], spaces.LIGHT, spaces.LIGHT]
    with localcontext() as context:
        context.prec = 50
        exact = []
        for node in nodes:
            light = Decimal(node) / spaces.LIGHT
            if space == "lab" and light * 29**3 <= 6**3:
                exact.append(spaces.CURVE * (light * 841 / 108 + Decimal(4) / 29))
            else:
                exact.append(spaces.CURVE * light ** (1 / Decimal(3)) if node else Decimal(0))
    is_rounded(curve, exact, 64 * 2.0 ** (24 - 53))


@pytest.mark.parametrize("space", BENT)
def test_the_first_node_lies_below_all_colours_but_black(space):
    mixing = spaces.tables_of(space).mixing[:, :, :3]
    lowest = np.array([spaces.LOWEST], np.uint32).view(np.float32)[0]
    assert lowest == 2**spaces.OCTAVES.start
    assert mixing[:, 1].min() >= lowest * (1 + 1 / spaces.NODES)
    assert (np.diff(mixing, axis=1) > 0).all()
    assert (mixing[:, 255].sum(axis=0) == spaces.LIGHT).all()


# Coordinates are the published formulas.


@pytest.mark.parametrize("space", OTHERS)
def test_coordinates_are_those_of_float64(rng, space):
    colors = np.concatenate(
        [
            lattice(5),
            lattice(85),
            rng.integers(0, 256, (200_000, 3), dtype=np.uint8),
            rng.integers(0, 12, (20_000, 3), dtype=np.uint8),
        ]
    )
    expected = SCALE[space] * real_numbers(colors, space) + ZERO[space]
    found = places(colors, space)
    assert abs(found - expected).max() < WITHIN
    assert found.min() >= 0
    assert found.max() <= 16383


@pytest.mark.parametrize(
    ("space", "sums"),
    [
        ("srgb", [0xCFCC030C, 0xAFE90BD6]),
        ("linear", [0xE7D7C129, 0x2A542AEA]),
        ("oklab", [0x60D34581, 0x3F3FDE7A]),
        ("lab", [0xF85CC21D, 0x5FEFC886]),
    ],
)
def test_the_same_numbers_on_every_machine(space, sums):
    """Of 140,608 opaque colours and as many with other alphas."""
    colors = lattice(5)
    alphas = (np.arange(len(colors)) * 7 % 256).astype(np.uint8)
    found = places(colors, space), places(np.c_[colors, alphas], space)
    assert [zlib.crc32(rows.astype("<i4").tobytes()) for rows in found] == sums


@pytest.mark.parametrize(
    ("space", "name"), [("linear", "srgb-linear"), ("oklab", "oklab"), ("lab", "lab-d65")]
)
def test_coordinates_are_those_of_coloraide(rng, space, name):
    coloraide = pytest.importorskip("coloraide", reason="a second opinion on colour spaces")
    colors = np.concatenate([lattice(85), rng.integers(0, 256, (300, 3), dtype=np.uint8)])
    expected = [
        coloraide.Color("srgb", [v / 255 for v in color]).convert(name).coords()
        for color in colors.tolist()
    ]
    # Its Oklab has the matrices in more digits than were published: 5e-6 apart.
    expected = SCALE[space] * np.array(expected) + ZERO[space]
    assert abs(places(colors, space) - expected).max() < WITHIN + (0.1 if space == "oklab" else 0)


@pytest.mark.parametrize("space", OTHERS)
def test_greys_are_neutral(space):
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    found = places(greys, space)
    alone = places(greys[:, :1], space)
    assert (np.diff(found[:, 0]) > 0).all()
    assert (alone[:, 0] == found[:, 0]).all()
    assert (alone[:, 1:] == 0).all()
    assert found[0].tolist() == list(ZERO[space])
    assert found[255, 0] == (8000 if space == "lab" else 16320)
    rest = found[:, 1:] - found[:, :1] if space == "linear" else found[:, 1:] - ZERO[space][1:]
    assert (rest == 0).all()


@given(st.sampled_from([1, 3, 4]).flatmap(colors_of.get))
def test_srgb_is_as_ever(colors):
    expected = [reference.coordinates(color) for color in colors.tolist()]
    assert places(colors, "srgb").tolist() == [list(place) for place in expected]
    back = spaces.nearest_colors(places(colors, "srgb"), colors.shape[1])
    assert back.tolist() == [list(reference.rounded(p, colors.shape[1])) for p in expected]


@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_neither_threads_nor_slices_nor_layout_change_anything(
    rng, monkeypatch, n_threads, space, channels
):
    colors = rng.integers(0, 256, (20_001, channels), dtype=np.uint8)
    expected = spaces.coordinates(colors, space)
    monkeypatch.setattr(spaces, "SLICE", 5000)
    monkeypatch.setattr(spaces, "SHARE", 300)
    assert (spaces.coordinates(colors, space, n_threads=n_threads) == expected).all()
    assert (spaces.coordinates(np.asfortranarray(colors), space) == expected).all()
    assert expected.shape == (max(channels, 3), 20_001 + spaces.PADDING)
    assert (expected[:, 20_001:] == 0).all()
    assert spaces.coordinates(colors[:0], space).shape[1] == spaces.PADDING


# Alpha.


@settings(deadline=None)
@given(st.sampled_from(OTHERS), colors_of[4])
def test_alpha_draws_towards_the_middle(space, colors):
    opaque = places(np.ascontiguousarray(colors[:, :3]), space).tolist()
    expected = []
    for place, alpha in zip(opaque, colors[:, 3].tolist(), strict=True):
        drawn = [
            m + (2 * alpha * (q - m) + 255) // 510
            for q, m in zip(place, MIDDLE[space], strict=True)
        ]
        expected.append([*drawn, round(HALF[space] * alpha / 255)])
    assert places(colors, space).tolist() == expected


@pytest.mark.parametrize("space", OTHERS)
def test_opaque_colours_keep_their_distances_and_transparent_ones_are_one_point(rng, space):
    rgb = rng.integers(0, 256, (1000, 3), dtype=np.uint8)
    opaque = places(np.insert(rgb, 3, 255, axis=1), space)
    assert (opaque[:, :3] == places(rgb, space)).all()
    assert len(np.unique(opaque[:, 3])) == 1
    clear = places(np.insert(rgb, 3, 0, axis=1), space)
    assert clear.tolist() == [[*MIDDLE[space], 0]] * 1000


@pytest.mark.parametrize("space", OTHERS)
def test_distances_are_the_mean_of_those_over_black_and_over_white(rng, space):
    """Blended in the working space, in real numbers."""
    colors = rng.integers(0, 256, (2000, 2, 4), dtype=np.uint8)
    colors[:500, 1, :3] = colors[:500, 0, :3]
    colors[500:1000, 1, 3] = colors[500:1000, 0, 3]
    alpha = colors[:, :, 3:] / 255
    real = SCALE[space] * real_numbers(colors[:, :, :3].reshape(-1, 3), space).reshape(-1, 2, 3)
    white = SCALE[space] * real_numbers(np.array([[255, 255, 255]]), space)
    black_seen, white_seen = (alpha * real + (1 - alpha) * back for back in (0 * white, white))
    expected = sum(
        ((seen[:, 0] - seen[:, 1]) ** 2).sum(axis=1) / 2 for seen in (black_seen, white_seen)
    )
    found = places(colors.reshape(-1, 4), space).reshape(-1, 2, 4)
    away = np.sqrt(squared(found[:, 0], found[:, 1]))
    # Each of eight coordinates is rounded once or twice.
    assert abs(away - np.sqrt(expected)).max() < 2.1


@pytest.mark.parametrize("space", OTHERS)
def test_errors_count_as_much_as_they_show(space):
    """A fainter pair differs less, and black and white differ most from transparency."""
    red, blue = [200, 30, 30], [30, 30, 200]
    pairs = np.array([[*c, a] for a in range(256) for c in (red, blue)], np.uint8)
    found = places(pairs, space)
    apart = np.sqrt(squared(found[::2], found[1::2]))
    assert abs(apart - apart[255] * np.arange(256) / 255).max() < 2
    clear = np.array([*MIDDLE[space], 0])
    shades = places(
        np.array([[0, 0, 0, 99], [118, 118, 118, 99], [255, 255, 255, 99]], np.uint8), space
    )
    black, grey, white = squared(shades, clear)
    assert grey < black
    assert grey < white


# Back to 8 bits.


@pytest.mark.parametrize("space", spaces.SPACES)
def test_colours_come_back(space):
    """Of all 16.7 million one does not, in oklab, where (4, 255, 251) and (5, 255, 251) are one
    point; here are some 30,000, the darkest and the brightest among them."""
    dark = np.stack(np.unravel_index(np.arange(12**3), (12,) * 3), axis=1)
    colors = np.concatenate([lattice(9), dark, 255 - dark]).astype(np.uint8)
    assert (spaces.nearest_colors(places(colors, space), 3, space) == colors).all()
    opaque = np.insert(colors, 3, 255, axis=1)
    assert (spaces.nearest_colors(places(opaque, space), 4, space) == opaque).all()


@pytest.mark.parametrize("space", spaces.SPACES)
def test_greys_come_back(space):
    greys = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    assert (spaces.nearest_colors(places(greys, space), 1, space) == greys).all()


@pytest.mark.parametrize("space", OTHERS)
def test_the_nearest_grey_is_the_lowest_of_equals(space):
    greys = places(np.arange(256, dtype=np.uint8)[:, np.newaxis], space)[:, 0]
    values = np.arange(16384)
    expected = abs(values[:, np.newaxis] - greys).argmin(axis=1)
    centroids = np.zeros((16384, 3), np.int32)
    centroids[:, 0] = values
    assert (spaces.nearest_colors(centroids, 1, space)[:, 0] == expected).all()


def test_the_nearest_linear_colour_is_that_of_each_channel(rng):
    centroids = rng.integers(0, 16384, (5000, 3), dtype=np.int32)
    steps = spaces.tables_of("linear").greys
    expected = abs(centroids[:, :, np.newaxis] - steps).argmin(axis=2)
    assert (spaces.nearest_colors(centroids, 3, "linear") == expected).all()


@pytest.mark.parametrize("space", BENT)
def test_no_colour_around_is_nearer(rng, space):
    """Nor among those five steps away, but for one in fifty, which is nearer by little."""
    pairs = rng.integers(0, 256, (500, 2, 3), dtype=np.uint8)
    ends = places(pairs.reshape(-1, 3), space).reshape(-1, 2, 3)
    centroids = (ends.sum(axis=1) + 1) // 2
    found = spaces.nearest_colors(centroids, 3, space).astype(int)
    mine = squared(places(found.astype(np.uint8), space), centroids)
    for reach in (1, 5):
        axis = np.arange(-reach, reach + 1)
        steps = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        around = np.clip(found[:, np.newaxis] + steps, 0, 255).astype(np.uint8)
        places_around = places(around.reshape(-1, 3), space).reshape(len(found), -1, 3)
        least = squared(places_around, centroids[:, np.newaxis]).min(axis=1)
        assert (mine <= least).mean() >= (1 if reach == 1 else 0.98)
        assert (np.sqrt(mine) <= np.sqrt(least) + 3).all()


@pytest.mark.parametrize("space", OTHERS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_centroid_has_a_colour(rng, space, channels):
    centroids = rng.integers(0, 16384, (500, max(channels, 3)), dtype=np.int32)
    found = spaces.nearest_colors(centroids, channels, space)
    assert found.shape == (500, channels)
    assert found.dtype == np.uint8
    again = spaces.nearest_colors(centroids[::-1], channels, space)
    assert (found == again[::-1]).all()


@pytest.mark.parametrize("space", OTHERS)
def test_rgba_comes_back_where_it_shows(rng, space):
    colors = rng.integers(0, 256, (3000, 4), dtype=np.uint8)
    found = spaces.nearest_colors(places(colors, space), 4, space)
    assert (found[:, 3] == colors[:, 3]).all()
    assert (found[colors[:, 3] == 0] == 0).all()
    assert abs(places(found, space) - places(colors, space)).max() <= 1


# Units.


@pytest.mark.parametrize("space", spaces.SPACES)
def test_errors_are_told_in_the_units_of_the_space(space):
    black, white = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)
    inertia = int(squared(*places(np.stack([black, white]), space)))
    expected = {"srgb": 3 * 255**2, "linear": 3 * 255**2, "oklab": 1, "lab": 100**2}[space]
    assert spaces.mean_squared_error(inertia * 5, 5, 3, space) == expected
    grey = int(squared(*places(np.stack([black, white])[:, :1], space)))
    assert spaces.mean_squared_error(grey * 7, 7, 1, space) == expected


# Pixels.


@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("case", [(1, 3), (3, 3), (3, 300), (4, 3), (4, 300)])
def test_pixels_get_the_owner_of_their_colour(monkeypatch, simd, n_threads, space, case):
    """Whatever it is: nothing is measured afresh."""
    monkeypatch.setattr(mapping, "SLICE", 1000)
    channels, K = case
    rng = np.random.default_rng(K)
    pixels = rng.integers(0, 256, (40, 60, channels), dtype=np.uint8)
    pixels[:, :20] &= 0xF0
    pixels[:, 50:, -1] = 0 if channels == 4 else 255
    palette = rng.integers(0, 256, (K, channels), dtype=np.uint8)
    histogram = Histogram(channels).add(pixels)

    def nearest(colors):
        away = squared(places(colors, space)[:, np.newaxis], places(palette, space))
        if channels == 4 and (palette[:, 3] == 255).any():
            away[np.ix_(colors[:, 3] == 255, palette[:, 3] < 255)] = 1 << 60
        return away.argmin(axis=1)

    owners = nearest(histogram.colors).astype(np.uint16)
    found = map_counted(pixels, histogram, palette, owners, space, n_threads=n_threads)
    colors = pixels.reshape(-1, channels)
    if channels == 4:
        colors = colors * (colors[:, 3:] > 0)
    expected = nearest(colors).reshape(40, 60)
    assert found.dtype == (np.uint8 if K <= 256 else np.uint16)
    assert (found == expected).all()


@pytest.mark.parametrize("n", [1, 2, 3, 700])
def test_any_number_of_rgba_colours_can_be_looked_up(rng, n):
    colors = np.unique(rng.integers(0, 256, (n, 4), dtype=np.uint8), axis=0)
    histogram = Histogram(4).add(colors)
    owners = np.arange(len(histogram), dtype=np.uint16)[::-1].copy()
    found = map_counted(histogram.colors, histogram, histogram.colors, owners, "oklab", n_threads=1)
    assert (found == owners).all()


# The whole way.


def image_of(channels, seed):
    rng = np.random.default_rng(seed)
    shape = (31, 43) if channels == 1 else (31, 43, channels)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    if channels == 4:
        image[:, :9, 3] = 0
        image[:, 9:30, 3] = 255
    return image


def as_colors(image):
    colors = image.reshape(len(image) * image.shape[1], -1)
    return colors * (colors[:, 3:] > 0) if colors.shape[1] == 4 else colors


@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_quantize_measures_in_its_space(simd, n_threads, space, channels):
    image = image_of(channels, 1)
    found = quantize(image, 9, 3, space=space, n_threads=n_threads)
    colors = as_colors(image)
    entries = found.palette[:, :1] if channels == 1 else found.palette
    away = squared(places(colors, space)[:, np.newaxis], places(entries, space))
    assert (found.indices.ravel() == away.argmin(axis=1)).all()
    error = squared(places(colors, "srgb"), places(entries[found.indices.ravel()], "srgb"))
    assert found.mse == spaces.mean_squared_error(int(error.sum()), image.shape[0] * 43, channels)
    assert len(np.unique(found.palette, axis=0)) == 9
    assert (found.counts > 0).all()


@pytest.mark.parametrize("space", spaces.SPACES)
def test_a_fit_is_the_references(space):
    """Its moves, in the coordinates of the space."""
    histogram = Histogram().add(image_of(3, 2)[:12])
    K = 6
    seeds = Clusters(histogram, 1, space).seeds(K, "k-means++", Draw(0))
    points = [tuple(place) for place in places(histogram.colors, space).tolist()]
    centroids, moves = reference.lloyd(
        points, histogram.counts.tolist(), [tuple(c) for c in seeds.tolist()], 4
    )
    if space in ("oklab", "lab"):
        centroids = reference.medians(points, histogram.counts.tolist(), centroids)
    palette = spaces.nearest_colors(np.array(centroids, np.int32), 3, space)
    method = as_method(K, init="k-means++", effort="fast", space=space, keep=None, seed=0)
    found = fit(histogram, K, 4, method, n_threads=1)
    palette = reference.display_order([tuple(c) for c in palette.tolist()])
    assert [tuple(c) for c in found.palette.tolist()] == palette
    assert found.n_iter == moves
    entries = [tuple(place) for place in places(found.palette, space).tolist()]
    owners = reference.assign(points, entries)
    assert found.owners.tolist() == owners
    assert found.inertia == reference.inertia(points, histogram.counts.tolist(), owners, entries)


@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_palette_maps_in_a_space(space, channels):
    image = image_of(channels, 3)
    palette = Palette.fit(Histogram().add(image_of(3, 4)), 20, 1, space=space)
    found = palette.map(image, space=space)
    colors = as_colors(image)
    colors = np.repeat(colors, 3, axis=1) if channels == 1 else colors
    entries = palette.colors
    if channels == 4:
        entries = np.insert(entries, 3, 255, axis=1)
        entries = np.concatenate([entries, [[0, 0, 0, 0]]]).astype(np.uint8)  # it is added
    away = squared(places(colors, space)[:, np.newaxis], places(entries, space))
    if channels == 4:
        away[np.ix_(colors[:, 3] == 255, [len(entries) - 1])] = 1 << 60
    assert (found.ravel() == away.argmin(axis=1)).all()
    assert (quantize(image, palette=palette, space=space).indices == found).all()


def test_an_unknown_space_is_refused():
    for call in (
        lambda: quantize(image_of(3, 0), space="hsv"),
        lambda: Palette.fit(Histogram().add(image_of(3, 0)), space="hsv"),
        lambda: Palette([[0, 0, 0]]).map(image_of(3, 0), space="hsv"),
    ):
        with pytest.raises(ValueError, match=r"^space: expected one of srgb, linear, oklab, lab, "):
            call()

"""Dithering once more, pixel by pixel in Python ints: what kmeans_c/dithering.py must do."""

from math import isqrt

import color_reference as reference
import numpy as np

from kmeans_c import spaces

STEPS = [(255 * q + 31) // 63 for q in range(64)]


def clamp(value, low, high):
    return max(low, min(high, value))


def position(color, space="srgb"):
    """Coordinates, of grey too; those of other spaces have tests of their own."""
    if space == "srgb":
        return reference.coordinates(tuple(color))
    place = spaces.coordinates(np.array([color], np.uint8), space)[:, 0]
    return tuple(int(v) for v in place)


def over_black(color):
    """Channels times 64, premultiplied."""
    if len(color) < 4:
        return [64 * v for v in color]
    *rgb, alpha = color
    return [*((128 * v * alpha + 255) // 510 for v in rgb), 64 * alpha]


def edges(palette):
    """The edges of the minimum spanning tree, in 64ths; palettes of up to 1024 entries."""
    points = [position(c) for c in palette]
    lengths, new = [], points[0]
    rest = {k: float("inf") for k in range(1, len(points))}
    while rest:
        for k, square in rest.items():
            rest[k] = min(square, reference.squared_distance(new, points[k]))
        nearest = min(rest, key=rest.get)
        square, new = rest.pop(nearest), points[nearest]
        root = isqrt(square)
        lengths.append(root + (square > root * root + root))
    return lengths


class Nearest:
    def __init__(self, palette, space="srgb"):
        self.palette = palette
        self.space = space
        self.places = [position(c) for c in palette]  # in which errors are measured
        self.owned = [position(c, space) for c in palette]
        self.found = {}
        self.found_at = {}

    def of(self, color):
        color = tuple(color)
        if color not in self.found:
            point = position(color, self.space)
            self.found[color] = reference.nearest_entry(color, point, self.palette, self.owned)
        return self.found[color]

    def in_lattice(self, values):
        """The owner of the lattice colour nearest to an RGB or grey colour of any range."""
        values = [clamp(v, 0, 255) for v in values]
        if len(values) > 1:
            values = [STEPS[(63 * v + 127) // 255] for v in values]
        if len(self.palette[0]) < 4:
            return self.of(values)
        most = max(c[3] for c in self.palette)
        solid = [
            k for k, c in enumerate(self.palette) if c[3] >= (most if most == 255 else most - 8)
        ]
        point = position([*values, 255], self.space)
        return solid[reference.nearest(point, [self.owned[k] for k in solid])]

    def in_coarse(self, point):
        """The owner of the place nearest to a point of four coordinates."""
        place = tuple((v + 128) // 256 * 256 for v in point)
        if place not in self.found_at:
            self.found_at[place] = reference.nearest(place, self.places)
        return self.found_at[place]


def floyd_steinberg(pixels, palette, strength, levels=None, space="srgb"):
    """Indices by rows; pixels are rows of tuples, strength and levels 0..64."""
    height, width, channels = len(pixels), len(pixels[0]), len(palette[0])
    nearest = Nearest(palette, space)
    limit = max(edges(palette), default=0) // 2
    handed = [[[0] * channels for _ in range(width)] for _ in range(height)]
    indices = [[0] * width for _ in range(height)]
    for y in range(height):
        step = -1 if y % 4 >= 2 else 1
        for x in range(width)[::step]:
            pixel = pixels[y][x]
            colors = min(channels, 3)
            weight = 64
            if channels == 4:
                weight = (pixel[3] + pixel[3] // 128) // 4
            if levels is not None:
                weight = (weight * levels[y][x] + 32) >> 6
            taken = [(h * weight + 32) >> 6 for h in handed[y][x]]
            own = over_black(pixel)
            if channels == 4 and pixel[3] < 255:
                index, error = translucent(nearest, pixel, taken, limit, strength)
            else:
                index = nearest.of(pixel)
                owed = any(taken[:colors])
                if owed:
                    sums = [65536 * v + t for v, t in zip(pixel, taken, strict=True)]
                    index = nearest.in_lattice([(s + 32768) >> 16 for s in sums[:colors]])
                entry = over_black(palette[index])
                error = [0] * channels
                for d in range(colors):
                    value = own[d]
                    if owed:
                        value = clamp(
                            (sums[d] + 512) >> 10,
                            max(0, own[d] - limit),
                            min(16320, own[d] + limit),
                        )
                    error[d] = (value - entry[d]) * strength
            indices[y][x] = index
            for dy, dx, part in ((0, step, 7), (1, -step, 3), (1, 0, 5), (1, step, 1)):
                if y + dy < height and 0 <= x + dx < width:
                    for d in range(channels):
                        handed[y + dy][x + dx][d] += part * error[d]
    return indices


def translucent(nearest, pixel, taken, limit, strength):
    *own, alpha = over_black(pixel)
    alpha = clamp(alpha + clamp((taken[3] + 512) >> 10, -limit, limit), 0, 16320)
    value = [
        clamp(v + clamp((t + 512) >> 10, -limit, limit), 0, alpha)
        for v, t in zip(own, taken, strict=False)
    ]
    if any(taken):
        point = [*(v - alpha // 2 + 8160 for v in value), (454047 * alpha + 262144) // 524288]
        index = nearest.in_coarse(point)
    else:
        index = nearest.of(pixel)
    if pixel[3] == 0:
        return index, [0] * 4
    entry = over_black(nearest.palette[index])
    return index, [(v - e) * strength for v, e in zip([*value, alpha], entry, strict=True)]


def mixture(nearest, target, n, strength, limit):
    """n entries whose mean is near the target (64ths), from dark to light."""
    chosen, missing = [], [0] * len(target)
    for _ in range(n):
        wanted = []
        for t, m in zip(target, missing, strict=True):
            value = t + clamp((m * strength + 32) >> 6, -limit, limit)
            wanted.append((value + 32) >> 6)
        index = nearest.in_lattice(wanted)
        entry = over_black(nearest.palette[index])
        missing = [m + t - e for m, t, e in zip(missing, target, entry, strict=False)]
        chosen.append(index)

    def darkness(index):
        entry = over_black(nearest.palette[index])
        return sum(w * v for w, v in zip((299, 587, 114), entry, strict=False)), index

    return sorted(chosen, key=darkness)


def ordered(pixels, palette, strength, ranks, space="srgb"):
    """Indices by rows; ranks (64, 64) are the pattern's, from 0."""
    channels = len(palette[0])
    nearest = Nearest(palette, space)
    lengths = edges(palette)
    limit = max(lengths, default=0) // 2
    spacing = sum(lengths) // max(len(lengths), 1)
    n = 4
    while n < 32 and 1024 * n < spacing:
        n *= 2
    size = max(map(max, ranks)) + 1
    mixtures = {}
    indices = []
    for y, row in enumerate(pixels):
        indices.append([])
        for x, pixel in enumerate(row):
            pick = ranks[y % 64][x % 64] * n // size
            index = nearest.of(pixel)
            if channels == 4 and pixel[3] < 255:
                if pixel[3]:
                    index = mirrored(nearest, pixel, index, (2 * pick + 1, n), strength)
            elif palette[index] != pixel:
                target = [64 * pixel[0]]
                if channels > 1:
                    target = []
                    moved = ((21, 43), (43, 21), (35, 33))
                    for v, (down, right) in zip(pixel, moved, strict=False):
                        rank = ranks[(y - down) % 64][(x - right) % 64]
                        add = (512 * rank + 256) // (2 * size)
                        step = (((16191 * v + 64) >> 8) + add) >> 8
                        target.append((16320 * step + 31) // 63)
                key = tuple(target)
                if key not in mixtures:
                    mixtures[key] = mixture(nearest, target, n, strength, limit)
                index = mixtures[key][pick]
            indices[-1].append(index)
    return indices


def mirrored(nearest, pixel, first, share, strength):
    point, place = position(pixel), nearest.places[first]
    image = [clamp(2 * p - q, 0, 16383) for p, q in zip(point, place, strict=True)]
    second = nearest.in_coarse(image)
    apart = [a - b for a, b in zip(nearest.places[second], place, strict=True)]
    along = sum(a * (p - q) for a, p, q in zip(apart, point, place, strict=True))
    length = sum(a * a for a in apart)
    return second if 2 * along * strength * share[1] > share[0] * length * 64 else first


def levels(pixels, palette, space="srgb"):
    """How much of an error each pixel may take, by rows, in 64ths."""
    height, width = len(pixels), len(pixels[0])
    nearest = Nearest(palette, space)
    lengths = edges(palette)
    spacing = sum(lengths) // max(len(lengths), 1)
    seen = [
        [(0,) * 4 if len(pixel) == 4 and pixel[3] == 0 else pixel for pixel in row]
        for row in pixels
    ]

    def apart(a, b):
        return max(abs(v - w) for v, w in zip(a, b, strict=True))

    def contrast(y, x):
        around = ((y, x - 1), (y, x + 1), (y - 1, x), (y + 1, x))
        return max(
            apart(seen[y][x], seen[clamp(v, 0, height - 1)][clamp(u, 0, width - 1)])
            for v, u in around
        )

    contrasts = [[contrast(y, x) for x in range(width)] for y in range(height)]
    blocks = -(-height // 8), -(-width // 8)
    counts = [[0] * blocks[1] for _ in range(blocks[0])]
    for y in range(height):
        for x in range(width):
            counts[y // 8][x // 8] += 1 <= contrasts[y][x] <= max(2, spacing // 256)

    def at(grid, y, x):
        return grid[clamp(y, 0, blocks[0] - 1)][clamp(x, 0, blocks[1] - 1)]

    def block_grid(value):
        return [[value(y, x) for x in range(blocks[1])] for y in range(blocks[0])]

    near = block_grid(
        lambda y, x: any(at(counts, y + v, x + u) >= 2 for v in range(-2, 3) for u in range(-2, 3))
    )
    calm = block_grid(
        lambda y, x: (
            sum(at(near, y + v, x + u) for v in range(-1, 2) for u in range(-1, 2)) * 64 // 9
        )
    )

    def between(y, x):
        """Bilinear between the middles of blocks, in 256ths."""
        (v, i), (u, j) = divmod(y + 4, 8), divmod(x + 4, 8)
        return sum(
            at(calm, v + a - 1, u + b - 1)
            * (2 * i + 1 if a else 15 - 2 * i)
            * (2 * j + 1 if b else 15 - 2 * j)
            for a in (0, 1)
            for b in (0, 1)
        )

    def level(y, x):
        error = apart(seen[y][x], palette[nearest.of(pixels[y][x])])
        here = clamp(64 * (4 * spacing - 64 * contrasts[y][x]) // max(2 * spacing, 1), 0, 64)
        own = clamp(64 * 64 * error // max(min(spacing // 8, 512), 1), 0, 64)
        return ((between(y, x) >> 8) * here * own) >> 12

    return [[level(y, x) for x in range(width)] for y in range(height)]

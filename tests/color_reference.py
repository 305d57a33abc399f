"""The colour engine's arithmetic once more, in Python ints: slow, and simple enough to be read as
the specification."""

import math

TOP = 14134  # the fourth coordinate of alpha 255, and of no other


def z_order(color):
    """The number whose bits are those of the channels, interleaved: alpha, red, green, blue."""
    channels = list(color)
    if len(channels) == 4:
        channels = [channels[3], *channels[:3]]
    number = 0
    for bit in reversed(range(8)):
        for value in channels:
            number = number << 1 | value >> bit & 1
    return number


def count(pixels, weights=None):
    """Colours and how often they occur, in Z-order. All transparent pixels are one colour."""
    counts = {}
    for i, pixel in enumerate(pixels):
        color = tuple(int(v) for v in pixel)
        if len(color) == 4 and color[3] == 0:
            color = (0, 0, 0, 0)
        weight = 1 if weights is None else int(weights[i])
        if weight:
            counts[color] = counts.get(color, 0) + weight
    return sorted(counts.items(), key=lambda item: z_order(item[0]))


def coordinates(color):
    if len(color) == 1:
        return (64 * color[0], 0, 0)
    if len(color) == 3:
        return tuple(64 * v for v in color)
    *rgb, a = color
    premultiplied = [(2 * 64 * v * a + 255) // 510 for v in rgb]
    return (*(p - 32 * a + 8160 for p in premultiplied), (454047 * a + 4096) // 8192)


def squared_distance(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def allowed(point, centroids):
    """The centroids that a colour may take: an opaque one the opaque ones, if there are any."""
    every = range(len(centroids))
    if len(point) == 4 and point[3] == TOP:
        return [k for k in every if centroids[k][3] == TOP] or every
    return every


def nearest(point, centroids):
    """The first of the nearest that are allowed."""
    return min(allowed(point, centroids), key=lambda k: (squared_distance(point, centroids[k]), k))


def nearest_entry(color, point, palette, centroids):
    """The first of the nearest: of the opaque ones, if there are any, for an opaque colour."""
    allowed = range(len(palette))
    if len(color) == 4 and color[3] == 255:
        allowed = [k for k in allowed if palette[k][3] == 255] or allowed
    return min(allowed, key=lambda k: (squared_distance(point, centroids[k]), k))


def assign(points, centroids):
    return [nearest(point, centroids) for point in points]


def sums(points, weights, labels, K):
    """For each cluster the sums of weight times coordinate, then the sum of the weights."""
    out = [[0] * (len(points[0]) + 1) for _ in range(K)]
    for point, weight, label in zip(points, weights, labels, strict=True):
        for d, x in enumerate(point):
            out[label][d] += weight * x
        out[label][-1] += weight
    return out


def means(cluster_sums):
    """Halves are rounded upwards."""
    return [tuple((2 * s + w) // (2 * w) for s in parts) for *parts, w in cluster_sums]


def moved_centroids(points, weights, labels, centroids):
    """The means; an opaque cluster with an opaque colour stays opaque."""
    out = [list(mean) for mean in means(sums(points, weights, labels, len(centroids)))]
    for point, label in zip(points, labels, strict=True):
        if len(point) == 4 and point[3] == centroids[label][3] == TOP:
            out[label][3] = TOP
    return [tuple(mean) for mean in out]


def inertia(points, weights, labels, centroids):
    return sum(
        w * squared_distance(x, centroids[label])
        for x, w, label in zip(points, weights, labels, strict=True)
    )


def fill(points, weights, centroids):
    """Refill the first empty cluster at the costliest point until none is empty or all cost
    nothing."""
    centroids = list(centroids)
    while True:
        labels = assign(points, centroids)
        empty = sorted(set(range(len(centroids))) - set(labels))
        if not empty:
            return centroids, labels
        costs = [
            min(w, 2**33 - 1) * squared_distance(x, centroids[label])
            for x, w, label in zip(points, weights, labels, strict=True)
        ]
        worst = max(range(len(points)), key=lambda i: (costs[i], -i))
        if costs[worst] == 0:
            centroids = [c for k, c in enumerate(centroids) if k not in empty]
        else:
            centroids[empty[0]] = points[worst]


def lloyd(points, weights, centroids, iterations):
    """Return the centroids and how many moves were made; the move that changed nothing counts."""
    moves = 0
    while iterations is None or moves < iterations:
        centroids, labels = fill(points, weights, centroids)
        moved = moved_centroids(points, weights, labels, centroids)
        moves += 1
        if moved == [tuple(c) for c in centroids]:
            break
        centroids = moved
    return [tuple(c) for c in centroids], moves


def medians(points, weights, centroids):
    """Three times: weights by the distances, and up to three moves by them."""
    spare = max(0, sum(weights).bit_length() - 38)
    for _ in range(3):
        labels = assign(points, centroids)
        again = []
        for point, weight, label in zip(points, weights, labels, strict=True):
            distance = math.sqrt(squared_distance(point, centroids[label]))
            again.append(max(1, int((weight >> spare) * 4096.0 / (16 + distance))))
        centroids, _ = lloyd(points, again, centroids, 3)
    return centroids


def rounded(centroid, channels):
    """The 8-bit colour at a centroid."""
    if channels < 4:
        return tuple(min((v + 32) // 64, 255) for v in centroid[:channels])
    *rgb, depth = centroid
    alpha = min((2 * 8192 * depth + 454047) // (2 * 454047), 255)
    premultiplied = [min(max(q + 32 * alpha - 8160, 0), 64 * alpha) for q in rgb]
    if alpha == 0:
        return (0, 0, 0, 0)
    return (*((2 * 255 * p + 64 * alpha) // (2 * 64 * alpha) for p in premultiplied), alpha)


def display_order(palette):
    """Transparent first, then from dark to light, then by the channels."""

    def place(color):
        rgb = color[:3]
        luma = sum(w * v for w, v in zip((299, 587, 114), rgb, strict=False))
        luma = rgb[0] if len(rgb) == 1 else luma
        return (len(color) == 4 and color[3] > 0, luma, color)

    return sorted(palette, key=place)


def palette(colors, weights, centroids):
    """Round centroids to colours, order and refill as in `fill`; return palette and labels."""
    return refilled(colors, weights, [rounded(c, len(colors[0])) for c in centroids])


def refilled(colors, weights, entries):
    points = [coordinates(c) for c in colors]
    while True:
        entries = display_order(entries)
        places = [coordinates(c) for c in entries]
        labels = assign(points, places)
        empty = sorted(set(range(len(entries))) - set(labels))
        if not empty:
            return entries, labels
        costs = [
            min(w, 2**33 - 1) * squared_distance(x, places[label])
            for x, w, label in zip(points, weights, labels, strict=True)
        ]
        worst = max(range(len(points)), key=lambda i: (costs[i], -i))
        if costs[worst] == 0:
            entries = [c for k, c in enumerate(entries) if k not in empty]
        else:
            entries[empty[0]] = colors[worst]


def polished(colors, weights, entries, labels, polishes):
    """Rounded means of what belongs to the entries replace them while that lowers the inertia."""
    channels = len(colors[0])
    points = [coordinates(c) for c in colors]

    def cost(entries, labels):
        return inertia(points, weights, labels, [coordinates(c) for c in entries])

    for _ in range(polishes):
        places = [coordinates(c) for c in entries]
        moved = [rounded(c, channels) for c in moved_centroids(points, weights, labels, places)]
        if moved == entries:
            break
        moved, moved_labels = refilled(colors, weights, moved)
        if cost(moved, moved_labels) >= cost(entries, labels):
            break
        entries, labels = moved, moved_labels
    return entries, labels

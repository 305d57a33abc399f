"""The search's steps once more, in Python ints and floats: slow, and written to be read.

Where the kernels compare floats these do the same operations, which IEEE 754 defines exactly.
"""

import heapq
from fractions import Fraction

NEAR = 16
TURNS = 6
CUTS = 3
AXIS = 1 << 12


# ---- cells


def split(keys, first, last):
    """Where the highest bit that differs within keys[first:last] becomes 1."""
    bit = (keys[first] ^ keys[last - 1]).bit_length() - 1
    return next(i for i in range(first, last) if keys[i] >> bit & 1)


def float_error(points, weights):
    """As the kernel computes it."""
    squares = [w * sum(v * v for v in x) for x, w in zip(points, weights, strict=True)]
    high = sum(
        w * (sum(v * v for v in x) >> 15) for x, w in zip(points, weights, strict=True)
    )  # fmt: skip
    inside = 32768.0 * high + float(sum(squares) - 32768 * high)
    for d in range(len(points[0])):
        s = float(sum(w * x[d] for x, w in zip(points, weights, strict=True)))
        inside -= s * s / float(sum(weights))
    return inside


def exact_error(points, weights):
    total = sum(weights)
    squares = sum(w * sum(v * v for v in x) for x, w in zip(points, weights, strict=True))
    sums = [
        sum(w * x[d] for x, w in zip(points, weights, strict=True)) for d in range(len(points[0]))
    ]
    return squares - Fraction(sum(s * s for s in sums), total)


def cells(keys, points, weights, most):
    """Cut the range of largest error at its highest bit, the first of equals, again and again.

    Returns the ranges in the order in which they come into being.
    """

    def error(first, last):
        return float_error(points[first:last], weights[first:last]) if last > first + 1 else 0.0

    ranges = [(0, len(keys))]
    heap = [(-error(0, len(keys)), 0)]
    while len(ranges) < most and heap[0][0] < 0:
        worst, i = heapq.heappop(heap)
        first, last = ranges[i]
        middle = split(keys, first, last)
        ranges[i] = (first, middle)
        ranges.append((middle, last))
        for j in (i, len(ranges) - 1):
            heapq.heappush(heap, (-error(*ranges[j]), j))
        assert -worst >= 0
    return ranges


# ---- the partition


def toward_zero(a, b):
    return a // b if a >= 0 else -(-a // b)


class Partition:
    """Points, masses, owners, centroids: what _kernels/search.pyx keeps, without its lists."""

    def __init__(self, points, masses, fixed=()):
        self.points, self.masses, self.D = points, masses, len(points[0])
        self.fixed = len(fixed)
        self.owner = [self.fixed] * len(points)
        self.centres = [tuple(c) for c in fixed] + [None]
        self.recentre(self.fixed)

    def members(self, c):
        return [i for i, owner in enumerate(self.owner) if owner == c]

    def sums(self, c):
        own = self.members(c)
        weight = sum(self.masses[i] for i in own)
        return [sum(self.masses[i] * self.points[i][d] for i in own) for d in range(self.D)], weight

    def recentre(self, c):
        sums, weight = self.sums(c)
        if weight and c >= self.fixed:
            self.centres[c] = tuple((2 * s + weight) // (2 * weight) for s in sums)

    def axis(self, c):
        """Axis, where to cut it, and the gain; None where it cannot be cut."""
        own = [(self.points[i], self.masses[i]) for i in self.members(c)]
        _, weight = self.sums(c)
        if not weight:
            return None
        mean, D = self.centres[c], range(self.D)
        cov = [[sum(w * (x[d] - mean[d]) * (x[e] - mean[e]) for x, w in own) for e in D] for d in D]
        widest = max(D, key=lambda d: (cov[d][d], -d))
        if cov[widest][widest] <= 0:
            return None
        now = [float(cov[d][widest]) for d in D]
        for _ in range(TURNS):
            most = max(abs(v) for v in now)
            turned = []
            for d in D:
                total = 0.0
                for e in D:
                    total += float(cov[d][e]) * (now[e] / most)
                turned.append(total)
            now = turned
        most = max(abs(v) for v in now)
        axis = [int(AXIS * (v / most)) for v in now]
        length = float(sum(a * a for a in axis))
        at = sum(a * m for a, m in zip(axis, mean, strict=True))
        along = [(sum(a * v for a, v in zip(axis, x, strict=True)), w) for x, w in own]
        for step in range(CUTS):
            upper = [(t, w) for t, w in along if t > at]
            lower = [(t, w) for t, w in along if t <= at]
            if not lower or not upper:
                return None
            upper_w, lower_w = sum(w for _, w in upper), sum(w for _, w in lower)
            upper_s, lower_s = sum(t * w for t, w in upper), sum(t * w for t, w in lower)
            apart = float(upper_s) / float(upper_w) - float(lower_s) / float(lower_w)
            gain = apart * apart * (float(lower_w) * float(upper_w) / (float(weight) * length))
            if step < CUTS - 1:
                at = toward_zero(toward_zero(lower_s, lower_w) + toward_zero(upper_s, upper_w), 2)
        return axis, at, gain

    def near(self):
        """For each cluster the nearest of those that have members or stay, itself first."""
        there = [c for c in range(len(self.centres)) if c < self.fixed or self.members(c)]

        def apart(c, k):
            if k == c:
                return -1
            return sum((a - b) ** 2 for a, b in zip(self.centres[c], self.centres[k], strict=True))

        return [
            sorted(there, key=lambda k: (apart(c, k), k))[:NEAR] for c in range(len(self.centres))
        ]

    def share(self, near):
        """Give each member to the nearest of its cluster's neighbours, cluster after cluster."""
        moved = set()
        for c, ids in enumerate(near):
            for i in self.members(c):
                best = min(
                    ids,
                    key=lambda k: sum(
                        (a - b) ** 2 for a, b in zip(self.points[i], self.centres[k], strict=True)
                    ),
                )
                if best != c:
                    self.owner[i] = best
                    moved |= {c, best}
        return moved

    def grow(self, K):
        self.share(self.near())
        self.recentre(self.fixed)
        while len(self.centres) < K:
            cuts = {c: self.axis(c) for c in range(self.fixed, len(self.centres))}
            gains = {c: cut[2] if cut else 0 for c, cut in cuts.items()}
            best = max(gains, key=lambda c: (gains[c], -c))
            if gains[best] <= 0:
                break
            axis, at, _ = cuts[best]
            for i in self.members(best):
                if sum(a * v for a, v in zip(axis, self.points[i], strict=True)) > at:
                    self.owner[i] = len(self.centres)
            self.centres.append(None)
            self.recentre(best)
            self.recentre(len(self.centres) - 1)

    def settle(self, passes):
        moved = True
        for _ in range(passes):
            moved = self.share(self.near())
            for c in moved:
                self.recentre(c)
            if not moved:
                break
        return not moved

    def error(self):
        """The sum of w |x - mean|^2, about the centroid where that stays."""
        total = Fraction(0)
        for c, centre in enumerate(self.centres):
            own = self.members(c)
            if not own:
                continue
            if c < self.fixed:
                total += sum(
                    self.masses[i]
                    * sum((a - b) ** 2 for a, b in zip(self.points[i], centre, strict=True))
                    for i in own
                )
            else:
                total += exact_error(
                    [self.points[i] for i in own], [self.masses[i] for i in own]
                )  # fmt: skip
        return total

"""Lloyd's algorithm on (N, D) points: the kernels' driver, and what becomes of empty clusters.

Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Transactions on Information Theory
28(2), 129-137.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels
from kmeans_c.threads import simd_level, team

# Parts that are added up apart: enough for as many threads, few enough to merge for nothing.
SEGMENTS = 64
SEGMENT_POINTS = 2048  # below this a segment costs more than it saves
SUMS_BYTES = 1 << 26  # what the segments' sums may take together
BLOCK = 256  # the kernels' block: segments start at multiples of it
NARROW = 64  # their block for more than WIDE coordinates; the least that a slice can be
WIDE = 32
PLANAR = 4  # coordinates up to which they compare distances themselves
SLICE = 1 << 28  # multiply-adds between two looks at the signals: 5 to 20 ms a thread
LANED_SUMS = 512  # sums whose four lanes take 16 KiB: half of a first-level cache
SHARE = 1 << 22  # multiply-adds that are worth a thread: some 200 us
FARTHEST = 4096  # candidates for refilling empty clusters, looked up at a time
CHUNK = 1 << 20  # coordinates for which distances are held at a time
PART = 4096  # points whose distances are added up together; fixed, so that threads change nothing
OWN_SLICE = 1 << 24  # coordinates between two looks at the signals: some 20 ms
OWN_SHARE = 1 << 18  # coordinates that are worth a thread: some 200 us
FAR_SLICE = 1 << 26  # squares of differences between two looks: three operations each
FAR_WRITES = 1 << 22  # distances between two looks: memory that is new costs more than the sums
TILE = 64  # centroids that the distances' kernels take together


class Points:
    """Points made ready for Lloyd's two steps; it keeps no centroids.

    Parameters
    ----------
    X : (N, D) array
        As `checks.as_points` returns it.
    n_threads : int
        As `threads.thread_count` returns it.
    weights : (N,) array, optional
        int64 for uint8 points, else float64; not negative.
    offset : (D,) array of float64, optional
        A place near the points. Where labels depend on rounding they depend on it; by default it is
        chosen from the points.
    """

    def __init__(
        self,
        X: NDArray[Any],
        n_threads: int,
        weights: NDArray[Any] | None = None,
        offset: NDArray[np.float64] | None = None,
    ) -> None:
        self.X = X
        self.weights = weights
        self.n_threads = n_threads
        self.level = simd_level()
        self.real: Any = np.float64 if X.dtype == np.float64 else np.float32
        self.total: Any = np.int64 if X.dtype == np.uint8 else np.float64
        self.offset = _middle(X) if offset is None else offset

    def nearest(self, centroids: NDArray[np.float64]) -> NDArray[np.int32]:
        """The index of each point's nearest centroid; ties go to the lowest index."""
        labels = np.empty(len(self.X), np.int32)
        self._sweep(len(centroids), self._table(centroids), labels, None)
        return labels

    def nearest_totals(self, centroids: NDArray[np.float64]) -> NDArray[Any]:
        """(K, D + 1): sums of the points nearest to each centroid, last column their weight."""
        return self._totals(len(centroids), self._table(centroids), None)

    def totals(self, labels: NDArray[np.int32], K: int) -> NDArray[Any]:
        """(K, D + 1): as `nearest_totals`, for labels that are given."""
        return self._totals(K, None, labels)

    def inertia(self, centroids: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
        """The weighted sum of squared distances from the centroids that the labels name."""
        N, D = self.X.shape
        parts = np.empty(-(-N // PART))
        weights = None if self.weights is None else self.weights.astype(np.float64, copy=False)
        n_threads = team(self.n_threads, N * D, OWN_SHARE)
        together = max(1, OWN_SLICE // (PART * D))
        for first in range(0, len(parts), together):
            last = min(first + together, len(parts))
            _kernels.distances.own(
                self.X, weights, centroids, labels, parts, PART, first, last, n_threads
            )
        return float(np.cumsum(parts)[-1])

    def distances(self, centroids: NDArray[np.float64]) -> NDArray[Any]:
        """(N, K) distances; for float32 or float64 points, whose kind they are of."""
        N, D = self.X.shape
        K = len(centroids)
        table = tiles(centroids, self.real)
        result = np.empty((N, K), self.real)
        n_threads = team(self.n_threads, N * K * (D + 2), SHARE)
        step = max(NARROW, min(FAR_SLICE // (K * (D + 2)), FAR_WRITES // K))
        for start in range(0, N, step):
            stop = min(start + step, N)
            _kernels.distances.every(self.X, table, result, start, stop, n_threads, self.level)
        return result

    def _table(self, centroids: NDArray[np.float64]) -> NDArray[Any]:
        K, D = centroids.shape
        rows = D if D <= PLANAR else _up(D, 4) + 1
        table = np.empty((_up(K, 4) // 4, rows, 4), self.real)
        offset = self.offset.astype(self.real).astype(np.float64)
        _kernels.lloyd.pack(np.ascontiguousarray(centroids), offset, table)
        return table

    def _totals(
        self, K: int, table: NDArray[Any] | None, labels: NDArray[np.int32] | None
    ) -> NDArray[Any]:
        N, D = self.X.shape
        # Successive points often share a centroid;
        # in lanes of their own their sums need not wait for each other.
        lanes = 4 if K * (D + 1) <= LANED_SUMS else 1
        segments = _segments(N, lanes * K * (D + 1) * 8)
        sums = np.zeros((segments, lanes, K, D + 1), self.total)
        self._sweep(K, table, labels, sums)
        totals = np.empty((K, D + 1), self.total)
        _kernels.lloyd.merge(sums, totals)
        return totals

    def _sweep(
        self,
        K: int,
        table: NDArray[Any] | None,
        labels: NDArray[np.int32] | None,
        sums: NDArray[Any] | None,
    ) -> None:
        N, D = self.X.shape
        segments = _segments(N, 0) if sums is None else len(sums)
        length = _up(-(-N // segments), BLOCK)
        n_threads = team(min(self.n_threads, segments), N * K * (D + 2), SHARE)
        width = NARROW if D > WIDE else BLOCK
        scratch = np.empty((n_threads, (_up(D, 4) + 6) * width), self.real)
        offset = self.offset.astype(self.real)
        for first, last, start, stop in _slices(segments, length, SLICE // (K * (D + 2))):
            _kernels.lloyd.assign(
                self.X, self.weights, table, offset, labels, sums,
                length, first, last, start, stop, scratch, n_threads, self.level,
            )  # fmt: skip


def lloyd(
    points: Points, centroids: NDArray[np.float64], ITERS: int, tol: float = 0.0
) -> tuple[NDArray[np.float64], int]:
    """Repeat Lloyd's two steps `ITERS` times, or until the centroids stay where they are.

    They also count as staying where the squares of a step's moves add up to at most `tol`.

    Returns
    -------
    centroids : (K, D) array of float64
        Rounded to float32 after each step where the points are float32.
    n_iter : int
        Steps taken, the one that changed nothing included.
    """
    done = marked = 0
    mark = centroids
    while done < ITERS:
        moved = means(points, points.nearest_totals(centroids))
        done += 1
        # With a tol of 0 moves whose squares vanish still count.
        if np.array_equal(moved, centroids) or 0 < tol >= _moves(centroids, moved):
            return moved, done
        # Rounding can make near ties swing for ever. A round of them is found by a mark that is set
        # anew after 1, 2, 4 ... steps (Brent 1980), and whole rounds change nothing.
        if np.array_equal(moved, mark):
            ITERS = done + (ITERS - done) % (done - marked)
        elif done >= 2 * marked:
            mark, marked = moved, done
        centroids = moved
    return centroids, done


def means(points: Points, totals: NDArray[Any]) -> NDArray[np.float64]:
    """The centroid of each cluster; an empty one is placed on the point that is represented worst.

    That is the point farthest from its nearest centroid, those already placed included; ties go to
    the lowest index. Where no point is left that is not a centroid itself, the remaining ones
    repeat the first point.
    """
    weight = totals[:, -1]
    empty = weight == 0
    centroids: NDArray[np.float64] = totals[:, :-1] / np.where(empty, 1, weight)[:, None]
    if empty.any():
        centroids[empty] = _farthest_first(points, centroids[~empty], int(empty.sum()))
    return (
        centroids.astype(np.float32).astype(np.float64)
        if points.X.dtype == np.float32
        else centroids
    )


def _farthest_first(points: Points, known: NDArray[np.float64], wanted: int) -> NDArray[np.float64]:
    """`wanted` rows, each of the point farthest from the known centroids and the rows before."""
    placed = np.empty((0, known.shape[1]))
    while len(placed) < wanted:
        rows, distance = _farthest(points, np.concatenate([known, placed]))
        if not distance.any():
            rest = np.repeat(points.X[:1].astype(np.float64), wanted - len(placed), axis=0)
            return np.concatenate([placed, rest])
        while len(placed) < wanted and distance.any():
            worst = rows[int(np.argmax(distance))]
            placed = np.concatenate([placed, worst[None]])
            distance = np.minimum(distance, _squared(rows, worst))
    return placed


def _farthest(
    points: Points, centroids: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows farthest from their nearest centroid, in index order, and those squared distances."""
    labels = points.nearest(centroids)
    kept, distances = np.empty((0, centroids.shape[1])), np.empty(0)
    step = max(1, CHUNK // points.X.shape[1])
    for start in range(0, len(points.X), step):
        chunk = slice(start, start + step)
        rows = points.X[chunk].astype(np.float64)
        distance = _squared(rows, centroids[labels[chunk]])
        if points.weights is not None:
            distance[points.weights[chunk] == 0] = 0
        kept, distances = np.concatenate([kept, rows]), np.concatenate([distances, distance])
        best = np.sort(np.argsort(-distances, kind="stable")[:FARTHEST])
        kept, distances = kept[best], distances[best]
    return kept, distances


def _moves(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """The sum of squared differences, in index order."""
    return float(np.cumsum(np.square(after - before))[-1])


def _middle(X: NDArray[Any]) -> NDArray[np.float64]:
    """A place among the points.

    Any will do; a median of a few rows is not drawn away by outliers, and whole numbers stay whole.
    """
    middle = np.median(X[:: max(1, len(X) // 64)].astype(np.float64), axis=0)
    return np.floor(middle) if X.dtype == np.uint8 else middle


def _squared(rows: NDArray[np.float64], centroid: NDArray[np.float64]) -> NDArray[np.float64]:
    difference = rows - centroid
    return np.asarray((difference * difference).sum(axis=1), dtype=np.float64)


def tiles(centroids: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """(ceil(K / TILE), D, TILE): TILE centroids side by side, as `distances` reads them."""
    K, D = centroids.shape
    table = np.zeros((_up(K, TILE), D), dtype)
    table[:K] = centroids
    return np.ascontiguousarray(table.reshape(-1, TILE, D).transpose(0, 2, 1))


def _segments(N: int, row_bytes: int) -> int:
    """How many parts N points are cut into; it may not depend on the number of threads."""
    return max(1, min(SEGMENTS, N // SEGMENT_POINTS, SUMS_BYTES // max(row_bytes, 1)))


def _slices(segments: int, length: int, points: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut the work into (first segment, last segment, start, stop) of about `points` points."""
    together = max(1, min(segments, points // NARROW))
    step = max(NARROW, points // together)
    step -= step % (BLOCK if step >= BLOCK else NARROW)
    for first in range(0, segments, together):
        for start in range(0, length, step):
            yield first, min(first + together, segments), start, min(start + step, length)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple

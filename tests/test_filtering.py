"""Exact passes by filtering are those of comparing every point with every centroid."""

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c import threads
from kmeans_c._kernels.filtering import Tree

PADDING = 64


def tree_of(points, weights, keys=None):
    points = np.asarray(points, np.int32)
    planes = np.zeros((points.shape[1], len(points) + PADDING), np.int32)
    planes[:, : len(points)] = points.T
    keys = np.arange(len(points)) if keys is None else keys
    keys, weights = np.asarray(keys, np.uint32), np.asarray(weights, np.int64)
    return Tree(keys, planes, weights, 1, threads.simd_level())


def assigned(tree, centroids, n_threads=1):
    centroids = np.ascontiguousarray(centroids, np.int32)
    sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
    changed = tree.assign(centroids, sums, n_threads, threads.simd_level())
    labels = np.empty(tree.n, np.uint16)
    tree.labels(labels)
    return labels.tolist(), sums.tolist(), changed


def brute_force(points, weights, centroids):
    """The reference once more, in arrays."""
    points = np.ascontiguousarray(points.T, np.int64)
    # |c|^2 - 2 x.c of coordinates below 2^14 stays below 2^32, with one row a centroid.
    scores = np.zeros((len(centroids), points.shape[1]), np.int64)
    for k, centroid in enumerate(np.asarray(centroids).tolist()):
        for x, c in zip(points, centroid, strict=True):
            scores[k] += c * (c - 2 * x)
    labels = scores.argmin(axis=0)
    columns = [*(points * weights), weights]
    sums = np.zeros((len(centroids), len(columns)), np.int64)
    for d, column in enumerate(columns):
        np.add.at(sums[:, d], labels, column)
    return labels.tolist(), sums.tolist()


def clouds(rng, n, D):
    """Points in Z-order of coarse cells, as a histogram would have them: near in order, near in
    space."""
    centres = rng.integers(0, 16384, (8, D))
    points = centres[rng.integers(0, 8, n)] + rng.normal(0, rng.choice([30, 300, 3000]), (n, D))
    points = np.clip(points, 0, 16383).astype(np.int64)
    keys = reference.z_order((points >> 6).T)
    return points[np.argsort(keys, kind="stable")], np.arange(n)


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (65, 1), (70, 2), (500, 7), (3000, 40)])
def test_pass_is_that_of_the_reference(rng, simd, n_threads, D, size):
    n, K = size
    points, keys = clouds(rng, n, D)
    weights = rng.integers(1, 1000, n)
    tree = tree_of(points, weights, keys)
    for _ in range(3):
        centroids = rng.integers(0, 16384, (K, D))
        labels, sums, _ = assigned(tree, centroids, n_threads)
        places = [tuple(c) for c in centroids.tolist()]
        expected = reference.assign(points.tolist(), places) if n * K < 10_000 else labels
        assert labels == expected
        assert (labels, sums) == brute_force(points, weights, centroids)


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("spread", [0, 1, 40, 1000])
def test_lists_kept_between_passes_stay_exact(rng, simd, n_threads, D, spread):
    points, keys = clouds(rng, 4000, D)
    weights = rng.integers(1, 50, len(points))
    tree = tree_of(points, weights, keys)
    centroids = points[rng.choice(len(points), 40, replace=False)]
    for _ in range(6):
        labels, sums, _ = assigned(tree, centroids, n_threads)
        assert (labels, sums) == brute_force(points, weights, centroids)
        sums = np.array(sums)
        weight = np.maximum(sums[:, -1:], 1)
        moved = np.where(sums[:, -1:] > 0, (2 * sums[:, :-1] + weight) // (2 * weight), centroids)
        moved += rng.integers(-spread, spread + 1, moved.shape)
        centroids = np.clip(moved, 0, 16383)


@pytest.mark.parametrize("D", [3, 4])
def test_extreme_coordinates_do_not_overflow(simd, D):
    corners = np.array(np.meshgrid(*[[0, 16383]] * D)).reshape(D, -1).T
    points = np.repeat(corners, 50, axis=0)
    weights = np.full(len(points), 2**37)
    tree = tree_of(points, weights)
    assert assigned(tree, corners)[:2] == brute_force(points, weights, corners)
    far = corners[[0, -1]]
    assert assigned(tree, far)[:2] == brute_force(points, weights, far)


def test_ties_and_equal_centroids_go_to_the_lowest_index(simd, n_threads):
    points = np.array([[x, y, 0] for x in range(0, 640, 64) for y in range(0, 640, 64)])
    grid = np.array([[x, y, 0] for y in range(32, 640, 128) for x in range(32, 640, 128)])
    centroids = np.concatenate([grid, grid[::-1], grid])
    labels, _, _ = assigned(tree_of(points, np.ones(100, int)), centroids, n_threads)
    assert labels == reference.assign(points.tolist(), centroids.tolist())
    assert max(labels) < len(grid)


@pytest.mark.parametrize("D", [3, 4])
def test_ties_go_to_the_first_in_a_given_order(rng, simd, n_threads, D):
    points = 64 * np.unique(rng.integers(0, 12, (2000, D)), axis=0)
    centroids = 32 * rng.integers(0, 24, (30, D))
    order = rng.permutation(30).astype(np.uint16)
    tree = tree_of(points, np.ones(len(points), int))
    assigned(tree, centroids, n_threads)
    in_order, sums = brute_force(points, np.ones(len(points), int), centroids[order])
    again = np.empty((30, D + 1), np.int64)
    centroids = np.ascontiguousarray(centroids, np.int32)
    tree.assign(centroids, again, n_threads, threads.simd_level(), order)
    assert again[order].tolist() == sums
    labels = np.empty(tree.n, np.uint16)
    tree.labels(labels, None, n_threads)
    assert labels.tolist() == order[in_order].tolist()
    tree.labels(labels, np.argsort(order).astype(np.uint16), n_threads)
    assert labels.tolist() == in_order
    expected = brute_force(points, np.ones(len(points), int), centroids)
    assert assigned(tree, centroids, n_threads)[:2] == expected


@pytest.mark.parametrize("D", [3, 4])
def test_few_centroids_leaving_their_slack(rng, simd, n_threads, D):
    points = rng.integers(0, 16384, (6000, D))
    points = points[np.argsort(reference.z_order((points >> 6).T), kind="stable")]
    keys = np.arange(len(points))
    weights = rng.integers(1, 50, len(points))
    tree = tree_of(points, weights, keys)
    centroids = points[rng.choice(len(points), 200, replace=False)].astype(np.int32)
    sums = np.empty((200, D + 1), np.int64)
    tree.iterate(centroids, sums, 40, n_threads, threads.simd_level())
    before = tree.full_passes
    for step in range(24):
        moving = rng.choice(200, 1 + step % 3, replace=False)
        centroids[moving] += rng.integers(-150, 151, (len(moving), D), dtype=np.int32)
        centroids += rng.integers(-1, 2, centroids.shape, dtype=np.int32)
        centroids = np.clip(centroids, 0, 16383)
        labels, sums, _ = assigned(tree, centroids, n_threads)
        assert (labels, sums) == brute_force(points, weights, centroids)
    assert tree.full_passes - before < 12


def test_changed_counts_points(rng):
    points, keys = clouds(rng, 3000, 3)
    tree = tree_of(points, np.ones(3000, int), keys)
    centroids = points[:20]
    before, _, _ = assigned(tree, centroids)
    after, _, changed = assigned(tree, points[500:520])
    assert changed == sum(a != b for a, b in zip(before, after, strict=True))
    assert assigned(tree, points[500:520])[2] == 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_small_cases(data):
    D = data.draw(st.sampled_from([3, 4]))
    point = st.tuples(*[st.integers(0, 12).map(lambda v: 64 * v)] * D)
    points = data.draw(st.lists(point, min_size=1, max_size=12, unique=True))
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(points), max_size=len(points)))
    centroids = data.draw(st.lists(point, min_size=1, max_size=6))
    points.sort()
    tree = tree_of(points, weights)
    for _ in range(3):
        labels, sums, _ = assigned(tree, centroids)
        assert labels == reference.assign(points, centroids)
        assert sums == reference.sums(points, weights, labels, len(centroids))
        if all(s[-1] for s in sums):
            centroids = reference.means(sums)


def test_iterate_is_assign_and_move(rng, simd, n_threads):
    points, keys = clouds(rng, 4000, 3)
    weights = rng.integers(1, 30, 4000)
    centroids = np.ascontiguousarray(points[::400], np.int32)
    sums = np.empty((len(centroids), 4), np.int64)
    tree = tree_of(points, weights, keys)
    moves, state = tree.iterate(centroids, sums, 6, n_threads, threads.simd_level())
    assert (moves, state) == (6, 0)
    expected = points[::400]
    for _ in range(6):
        _, s = brute_force(points, weights, expected)
        expected = np.array(reference.means(s))
    assert centroids.tolist() == expected.tolist()


def test_iterate_stops_at_an_empty_cluster_and_at_convergence(rng):
    points, keys = clouds(rng, 200, 3)
    tree = tree_of(points, np.ones(200, int), keys)
    sums = np.empty((2, 4), np.int64)
    twins = np.array([[5, 5, 5], [5, 5, 5]], np.int32)
    assert tree.iterate(twins, sums, 10, 1, 0) == (0, 2)
    assert twins.tolist() == [[5, 5, 5], [5, 5, 5]]
    centroids = np.array([[0, 0, 0], [16383, 16383, 16383]], np.int32)
    moves, state = tree.iterate(centroids, sums, 1000, 1, 0)
    assert state == 1
    assert moves < 1000
    before = centroids.copy()
    assert tree.iterate(centroids, sums, 5, 1, 0) == (1, 1)
    assert (before == centroids).all()


def test_worst_is_the_costliest_point(rng, simd):
    points, keys = clouds(rng, 800, 3)
    weights = rng.integers(1, 2**35, 800)
    tree = tree_of(points, weights, keys)
    centroids = points[:5]
    labels, _, _ = assigned(tree, centroids, 3)
    costs = [
        min(w, 2**33 - 1) * reference.squared_distance(x, centroids[label].tolist())
        for x, w, label in zip(points.tolist(), weights.tolist(), labels, strict=True)
    ]
    assert tree.worst() == (costs.index(max(costs)), max(costs))
    assert tree.worst(3) == tree.worst()


def test_worst_is_the_first_of_equals(n_threads):
    points = np.stack([64 * (np.arange(20_000) % 100), np.zeros(20_000, int)] * 2, axis=1)
    tree = tree_of(points[:, :3], np.ones(20_000, int))
    assigned(tree, [[0, 0, 0]], 4)
    assert tree.worst(n_threads)[0] == 99


@pytest.mark.parametrize("x", [16383, 16320, 181, 12345])
def test_squares_are_exact(simd, x):
    tree = tree_of([[x, x, x, x], [x, 0, 0, 0]], [2**47 - 5, 5])
    assert tree.squares() == 4 * x**2 * (2**47 - 5) + 5 * x**2


def test_leaves_hold_all_of_the_weight(rng):
    points, keys = clouds(rng, 5000, 4)
    weights = rng.integers(1, 9, 5000)
    tree = tree_of(points, weights, keys)
    means = np.empty((4, tree.n_leaves()), np.int32)
    of_leaf = np.empty(tree.n_leaves(), np.int64)
    tree.leaf_means(means, of_leaf)
    assert of_leaf.sum() == weights.sum()
    assert (
        abs((means * of_leaf).sum(axis=1) - (points.T * weights).sum(axis=1)).max() <= weights.sum()
    )

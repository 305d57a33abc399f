"""The same algorithms written for clarity, in exact arithmetic: what the kernels are held against.

Nothing here imports the package. Points and centroids are lists of rows of ints or Fractions.
"""

from fractions import Fraction


def exact(rows):
    """Any array of numbers as rows of Fractions, without rounding."""
    return [[Fraction(float(value)) for value in row] for row in rows]


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def nearest(X, centroids):
    """The index of each point's closest centroid, the lowest one on ties."""
    return [min(range(len(centroids)), key=lambda k: (squared(x, centroids[k]), k)) for x in X]


def values(X, labels, K):
    """The mean of each cluster.

    Empty ones get the points farthest from all centroids, farthest first.
    """
    D = len(X[0])
    means = [None] * K
    for k in range(K):
        members = [x for x, label in zip(X, labels, strict=True) if label == k]
        if members:
            # Rounded as the package returns it, so that both see the same distances afterwards.
            means[k] = [float(Fraction(sum(m[d] for m in members), len(members))) for d in range(D)]
    for k in range(K):
        if means[k] is None:
            known = exact(mean for mean in means if mean is not None)
            distance = [min(squared(x, mean) for mean in known) for x in X]
            worst = max(range(len(X)), key=lambda i: (distance[i], -i))
            means[k] = [float(v) for v in (X[worst] if distance[worst] > 0 else X[0])]
    return means


def inertia(X, centroids, labels):
    return sum(squared(x, centroids[label]) for x, label in zip(X, labels, strict=True))

"""`KMeans`: Lloyd's algorithm on any (N, D) data, in scikit-learn's protocol and without it."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c.checks import MAX_K, as_array, as_centroids, check_choice, check_int, widened
from kmeans_c.lloyd import Points, lloyd
from kmeans_c.protocol import (
    Estimator,
    as_sample_weights,
    as_samples,
    as_seed,
    names_of,
    warn_convergence,
)
from kmeans_c.seeding import INITS, Draw, by_content, seed_rows
from kmeans_c.threads import thread_count

RESTARTS = 10  # what scikit-learn's n_init="auto" means where starts are no better than chance


class KMeans(Estimator):
    """k-means clustering, to be used wherever scikit-learn's KMeans is.

    For (N, D) data in float32 or float64; for the colours of an image `quantize` is faster and
    exact. scikit-learn need not be installed.

    Parameters
    ----------
    n_clusters : int
        1..N: how many clusters.
    init : {"k-means++", "random"}, (n_clusters, D) array_like or callable
        Where to start: see `initialize_centroids`; or the centres themselves; or a function called
        as ``init(X, n_clusters, random_state=numpy.random.RandomState)`` that returns them.
    n_init : "auto" or int
        How many starts are tried; the one of the lowest inertia is kept. "auto": 10 for "random"
        and callables, else 1.
    max_iter : int
        Steps of Lloyd's algorithm from each start, at least 1.
    tol : float
        Stop when the centres move by no more: the squares of a step's moves, added up, against
        `tol` times the mean of the features' variances. 0: when they do not move at all.
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        The same int gives the same bytes, on every machine and with every NumPy. None draws fresh
        entropy.
    n_threads : int, optional
        No result depends on it.

    Attributes
    ----------
    cluster_centers_ : (n_clusters, D) array
        float32 where `X` was (and its squares are in float32's range), else float64.
    labels_ : (N,) array of int32
        Each sample's closest centre; ties go to the lowest index. They are what `predict` says.
    inertia_ : float
        The sum of squared distances from the closest centres, weighted.
    n_iter_ : int
        Steps taken from the start that was kept, the one that found nothing to move included.
    n_features_in_ : int
        D.
    feature_names_in_ : (D,) array of str
        Only where `X` was a data frame whose columns all have such names.

    Notes
    -----
    A cluster without samples is placed on the sample farthest from its centre. Samples of weight 0
    are left out of the fit as if they were not there, and labelled. Data with fewer distinct
    samples than clusters ends in a ConvergenceWarning, and centres that repeat.

    References
    ----------
    .. [1] Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Trans. Information Theory
       28(2), 129-137.

    Examples
    --------
    >>> import kmeans_c
    >>> found = kmeans_c.KMeans(2, random_state=0).fit([[1.0], [2.0], [10.0], [11.0]])
    >>> sorted(found.cluster_centers_.ravel().tolist())
    [1.5, 10.5]
    """

    cluster_centers_: NDArray[Any]
    labels_: NDArray[np.int32]
    inertia_: float
    n_iter_: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike | Callable[..., ArrayLike] = "k-means++",
        n_init: str | int = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:  # noqa: ARG002
        """Find the centres.

        Parameters
        ----------
        X : (N, D) array_like or data frame of numbers
            Finite, N at least `n_clusters`; only read.
        y : object
            Ignored.
        sample_weight : (N,) array_like or number, optional
            How often each sample counts, not negative; any number.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind, or impossible: NaN, sparse or not two-dimensional
            `X`, more clusters than samples of a weight above 0.
        """
        names, samples = names_of(X), as_samples(X)
        weights = as_sample_weights(sample_weight, len(samples))
        centers, labels, inertia, n_iter = self._best(samples, weights)
        # Set together and last: a fit that is interrupted leaves the one before.
        self.cluster_centers_, self.labels_ = centers, labels
        self.inertia_, self.n_iter_ = inertia, n_iter
        self.n_features_in_ = samples.shape[1]
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        used = np.count_nonzero(np.bincount(labels))
        if used < len(centers):
            warn_convergence(
                f"{used} distinct clusters found, fewer than n_clusters={len(centers)}: "
                "X may hold too few distinct samples"
            )
        return self

    def predict(self, X: Any) -> NDArray[np.int32]:
        """Each sample's closest centre, an index in 0..n_clusters-1."""
        samples, centers = self._fitted_samples(X), self._centers()
        return self._ready(samples, centers).nearest(centers.astype(np.float64))

    def fit_predict(self, X: Any, y: object = None, sample_weight: Any = None) -> NDArray[np.int32]:
        """`fit`, and its labels."""
        return self.fit(X, y, sample_weight).labels_

    def transform(self, X: Any) -> Any:
        """Euclidean distances from each centre, (N, n_clusters), or as `set_output` says."""
        samples, centers = self._fitted_samples(X), self._centers()
        distances = self._ready(samples, centers).distances(centers.astype(np.float64))
        return self._contained(distances, X)

    def fit_transform(self, X: Any, y: object = None, sample_weight: Any = None) -> Any:
        """`fit`, then `transform`."""
        return self.fit(X, y, sample_weight).transform(X)

    def score(self, X: Any, y: object = None, sample_weight: Any = None) -> float:  # noqa: ARG002
        """Minus the weighted sum of squared distances from the closest centres."""
        samples, centers = self._fitted_samples(X), self._centers()
        points = self._ready(samples, centers, as_sample_weights(sample_weight, len(samples)))
        wide = centers.astype(np.float64)
        return -points.inertia(wide, points.nearest(wide))

    @property
    def _n_features_out(self) -> int:
        return len(self._centers())

    def _centers(self) -> NDArray[Any]:
        """Return a copy of the centres, as float32 where they are: anyone may have set them."""
        n_features, _ = self._fitted_features()
        centers = as_array("cluster_centers_", self.cluster_centers_)
        wide = as_centroids("cluster_centers_", centers, n_features)
        return wide.astype(np.float32) if centers.dtype == np.float32 else wide

    def _check_fitted(self) -> None:
        super()._check_fitted()
        if not hasattr(self, "cluster_centers_"):  # deleted
            raise AttributeError(f"this {type(self).__name__} has no cluster_centers_: call fit")

    def _ready(
        self,
        samples: NDArray[Any],
        centers: NDArray[Any],
        weights: NDArray[np.float64] | None = None,
    ) -> Points:
        return _ready(samples, centers, thread_count(self.n_threads), weights)

    def _best(
        self, samples: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> tuple[NDArray[Any], NDArray[np.int32], float, int]:
        """Centres, labels, inertia and steps of the best start."""
        n_threads = thread_count(self.n_threads)
        points = _counted(samples, weights, n_threads)
        K = check_int("n_clusters", self.n_clusters, 1, MAX_K)
        if len(points.X) < K:
            counted = "" if weights is None else " of a weight above 0"
            raise ValueError(f"n_samples={len(points.X)}{counted} should be >= n_clusters={K}")
        max_iter = check_int("max_iter", self.max_iter, 1)
        moves = _tolerance(points, self.tol)
        restarts = _restarts(self.init, self.n_init)
        starts = _starts(points, K, self.init, restarts, Draw(as_seed(self.random_state)))
        best: Any = None
        for start in starts:
            if widened(points.X, start) is not points.X:
                points = Points(widened(points.X, start), n_threads, points.weights)
            centroids, n_iter = lloyd(points, start, max_iter, moves)
            centers = centroids.astype(samples.dtype)
            ready = _ready(samples, centers, n_threads, weights)
            labels = ready.nearest(centers.astype(np.float64))
            inertia = ready.inertia(centers.astype(np.float64), labels)
            if best is None or inertia < best[2]:
                best = centers, labels, inertia, n_iter
        return best  # type: ignore[no-any-return]


def _ready(
    samples: NDArray[Any],
    centers: NDArray[Any],
    n_threads: int,
    weights: NDArray[np.float64] | None,
) -> Points:
    """Samples to be compared with centres, in the wider arithmetic of both.

    What becomes of one of them depends on no other: not even the offset does.
    """
    wide = np.result_type(samples, centers)
    points = widened(samples.astype(wide, copy=False), centers)
    offset = np.median(centers, axis=0).astype(np.float64)
    return Points(points, n_threads, weights, offset)


def _counted(samples: NDArray[Any], weights: NDArray[np.float64] | None, n_threads: int) -> Points:
    """The samples of a weight above 0. Weights that are all the same are as good as none."""
    if weights is None:
        return Points(samples, n_threads)
    counted = weights > 0
    if not counted.all():
        samples, weights = samples[counted], weights[counted]
    if (weights == weights[0]).all():
        return Points(samples, n_threads)
    # Sums of weighted samples stay in range; a power of two changes no digit.
    return Points(samples, n_threads, np.ldexp(weights, -math.frexp(weights.max())[1]))


def _tolerance(points: Points, tol: object) -> float:
    """`tol` times the mean of the features' variances."""
    if isinstance(tol, bool) or not isinstance(tol, Real):
        raise TypeError(f"tol: expected a number, got {type(tol).__name__}")
    relative = float(tol)
    if not 0 <= relative < math.inf:
        raise ValueError(f"tol: expected a finite number of at least 0, got {tol}")
    if relative == 0:
        return 0.0
    N, D = points.X.shape
    alone, everywhere = Points(points.X, points.n_threads), np.zeros(N, np.int32)
    mean: NDArray[np.float64] = alone.totals(everywhere, 1)[:, :-1] / N
    return float(relative * alone.inertia(mean, everywhere) / (N * D))


def _restarts(init: Any, n_init: Any) -> int:
    named = isinstance(init, str) and check_choice("init", init, INITS)
    given = not named and not callable(init)
    if isinstance(n_init, str):
        check_choice("n_init", n_init, ("auto",))
        return 1 if given or named == "k-means++" else RESTARTS
    restarts = check_int("n_init", n_init, 1)
    if given and restarts != 1:
        told = f"n_init: one start is all that an array as init gives, not {restarts}"
        warnings.warn(told, RuntimeWarning, stacklevel=4)
        return 1
    return restarts


def _starts(
    points: Points, K: int, init: Any, restarts: int, draw: Draw
) -> list[NDArray[np.float64]]:
    if isinstance(init, str):
        X, odds = by_content(points.X, points.weights, points.n_threads)
        # As many tries as in scikit-learn, whose inertia one alone does not reach.
        drawn = partial(
            seed_rows, X, K, init, draw, n_threads=points.n_threads, weights=odds,
            tries=2 + int(math.log(K)),
        )  # fmt: skip
        # Fewer distinct rows than clusters: they start from the same ones again.
        return [np.resize(X[drawn()], (K, X.shape[1])).astype(np.float64) for _ in range(restarts)]
    starts = []
    for _ in range(restarts):
        found = init
        if callable(init):
            found = init(points.X, K, random_state=np.random.RandomState(draw.word() >> 32))
        start = as_centroids("init", found, points.X.shape[1])
        if len(start) != K:
            raise ValueError(f"init: expected {K} rows as n_clusters says, got {len(start)}")
        starts.append(start)
    return starts

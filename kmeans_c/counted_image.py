"""An image whose colours are counted once and fitted for several K."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c import spaces
from kmeans_c.checks import check_choice, check_int
from kmeans_c.clustering import Clusters, Fit, fit, least_entries
from kmeans_c.colors import alike
from kmeans_c.dithering import DITHERS, check_strength
from kmeans_c.encoding import MAX_COLORS
from kmeans_c.errors import mean_squared_error
from kmeans_c.histogram import Histogram
from kmeans_c.images import as_pixels
from kmeans_c.mapping import map_counted
from kmeans_c.method import INITS, Method, as_method
from kmeans_c.quantize import SHARE, Quantized, mapped
from kmeans_c.seeding import Draw
from kmeans_c.threads import team, thread_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class CountedImage:
    """An image, its histogram, and the fits that were made of it."""

    def __init__(
        self,
        image: Any,
        *,
        most: int,
        ITERS: int | None,
        init: str,
        effort: str,
        space: str,
        keep: ArrayLike | None,
        dither: str,
        dither_strength: float,
        seed: int | np.random.Generator | None,
        n_threads: int | None,
    ) -> None:
        most = check_int("K", most, 1, MAX_COLORS)
        self.ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
        check_choice("init", init, INITS)
        # Every fit starts from the same seed, as its own `quantize` would.
        self.seed = seed if hasattr(seed, "__index__") else Draw(seed).word()
        self.options: dict[str, Any] = {
            "init": init, "effort": effort, "space": space, "keep": keep,
        }  # fmt: skip
        self.method = self._method(most)
        self.space = self.method.space
        self.dither = check_choice("dither", dither, DITHERS)
        check_strength(dither_strength)
        self.dither_strength = dither_strength
        pixels = as_pixels(image)
        if len(self.method.keep):
            pixels, self.options["keep"] = alike(pixels, self.method.keep)
        elif pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        self.pixels = pixels
        n_pixels = pixels.shape[0] * pixels.shape[1]
        self.n_threads = team(thread_count(n_threads), n_pixels, SHARE)
        self.histogram = Histogram(pixels.shape[2]).add(pixels, n_threads=self.n_threads)
        # Below `least`, one colour for what is opaque and what is clear would be neither.
        least, n_kept = least_entries(self.histogram, self.method.keep), len(self.method.keep)
        self.most = max(1, n_kept, min(most, len(self.histogram) + n_kept))
        self.least = min(least, self.most)
        self.clusters: Clusters | None = None
        self.fits: dict[int, Fit] = {}

    def fit(self, K: int) -> Fit:
        """Return the fit of a number of colours, made once."""
        if K not in self.fits:
            if self.clusters is None and len(self.histogram) > self.least:
                self.clusters = Clusters(self.histogram, self.n_threads, self.space)
            self.fits[K] = fit(
                self.histogram,
                K,
                self.ITERS,
                self._method(K),
                n_threads=self.n_threads,
                clusters=self.clusters,
            )
        return self.fits[K]

    def mse(self, K: int) -> float:
        """The error without dithering."""
        found = self.fit(K)
        if self.space == "srgb":
            shape = self.pixels.shape
            return spaces.mean_squared_error(found.inertia, shape[0] * shape[1], shape[2])
        indices = map_counted(
            self.pixels, self.histogram, found.palette, found.owners, self.space,
            n_threads=self.n_threads,
        )  # fmt: skip
        return mean_squared_error(self.pixels, found.palette, indices, n_threads=self.n_threads)

    def quantized(self, K: int) -> Quantized:
        """Return what `quantize` gives for a number of colours."""
        return mapped(
            self.pixels,
            self.histogram,
            self.fit(K),
            space=self.space,
            dither=self.dither,
            dither_strength=self.dither_strength,
            n_threads=self.n_threads,
        )

    def _method(self, K: int) -> Method:
        return as_method(K, seed=self.seed, **self.options)

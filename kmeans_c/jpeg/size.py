"""The JPEG of least error that fits into a number of bytes."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

from kmeans_c.encoding import check_fits
from kmeans_c.images.metadata import Metadata, save_options
from kmeans_c.jpeg.options import MAX_QUALITY, MIN_QUALITY
from kmeans_c.jpeg.search import Jpeg, encoded_as
from kmeans_c.jpeg.shown import Shown, shown_by
from kmeans_c.jpeg.writer import full_color, with_metadata
from kmeans_c.ladder_search import LadderSearch
from kmeans_c.png import used
from kmeans_c.size_search import Candidate, Sized

if TYPE_CHECKING:
    from kmeans_c.counted_image import CountedImage

# Full resolution of colour, and the least.
KINDS = ("4:4:4", "4:2:0")

QUALITIES = range(MIN_QUALITY, MAX_QUALITY + 1)


class JpegSizeSearch:
    """Every quality of the picture of the most colours, and fewer colours at the lowest.

    A JPEG can't hold a palette: fewer colours alone do not make it smaller, but for very few.

    Parameters
    ----------
    source : CountedImage
    metadata, policy
        As for `encoding.encode`: their bytes count.
    """

    def __init__(
        self, source: CountedImage, metadata: Metadata | None = None, policy: str = "safe"
    ) -> None:
        self.source = source
        about = Metadata() if metadata is None else metadata
        self.described = save_options(about, "jpeg", policy)
        # A profile of RGB does not fit grey pixels.
        self.may_be_grey = about.icc is None
        self.files: dict[tuple[int, int, str], Candidate] = {}
        grey = source.pixels.shape[2] == 1
        self.pixels = source.pixels[:, :, 0] if grey else source.pixels
        self.kinds = KINDS[:1] if grey else KINDS

    def best(self, n_bytes: int) -> Candidate | None:
        """Return the file of least error that fits, or None."""
        search: LadderSearch[Candidate] = LadderSearch(n_bytes, 2)
        least, most = self.source.least, self.source.most
        # On noise a single colour has less error than the lowest qualities.
        small = self.encoded(least, MIN_QUALITY, self.kinds[-1])
        search.fitting += [small] if len(small.data) <= n_bytes else []
        alone = len(search.fitting)
        floors = [
            search.climb(QUALITIES, partial(self.encoded, most, kind=kind)) for kind in self.kinds
        ]
        if len(search.fitting) == alone:
            fewer = range(least + 1, most)
            encoded = partial(self.encoded, quality=MIN_QUALITY, kind=self.kinds[-1])
            search.climb(fewer, encoded, max(floors))
        return search.best

    def fewest(self) -> int:
        """Return the bytes of the file of the fewest colours at the lowest quality."""
        return len(self.encoded(self.source.least, MIN_QUALITY, self.kinds[-1]).data)

    def encoded(self, K: int, quality: int, kind: str) -> Candidate:
        """Return the candidate of a number of colours, a quality and a kind of subsampling."""
        if (K, quality, kind) not in self.files:
            quantized = self.source.quantized(K)
            palette, indices = used(quantized.palette, quantized.indices)
            check_fits(palette, indices, "jpeg")

            def measure(data: bytes) -> Shown:
                return shown_by(
                    data, self.pixels, palette, indices, n_threads=self.source.n_threads
                )

            jpeg: Jpeg = encoded_as(
                full_color(palette, indices, grey=self.may_be_grey),
                quality,
                kind,
                measure,
                n_threads=self.source.n_threads,
            )
            jpeg = jpeg._replace(data=with_metadata(jpeg.data, self.described))
            shown = dataclasses.replace(quantized, mse=jpeg.shown.mse)
            self.files[K, quality, kind] = Candidate(Sized(shown, jpeg.data, "jpeg", 0.0), jpeg)
        return self.files[K, quality, kind]

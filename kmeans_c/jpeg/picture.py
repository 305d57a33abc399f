"""A picture of K colours as the JPEG that `compress` writes."""

from __future__ import annotations

from kmeans_c.images import Picture
from kmeans_c.images.metadata import save_options
from kmeans_c.images.modes import Pixels
from kmeans_c.jpeg.budget import budget
from kmeans_c.jpeg.options import Options
from kmeans_c.jpeg.search import Jpeg, encoded_within
from kmeans_c.jpeg.shown import Shown, shown_by
from kmeans_c.jpeg.writer import full_color, n_metadata, with_metadata
from kmeans_c.threads import thread_count


def as_jpeg(
    picture: Picture,
    contents: bytes,
    palette: Pixels,
    indices: Pixels,
    exact_mse: float,
    *,
    options: Options,
    policy: str,
    allow_larger: bool = False,
    size: int | None = None,
    n_threads: int | None = None,
) -> Jpeg:
    """Encode a K-colour picture within the bytes that its input allows.

    Parameters
    ----------
    picture : Picture
        The input.
    contents : bytes
        The input file.
    palette, indices : ndarray of uint8
        The picture of K colours, opaque, without unused entries.
    exact_mse : float
        The error of the picture of K colours.
    options : Options
        A quality and a subsampling, if they are given.
    policy : {"none", "safe", "keep"}
        Which metadata are written.
    allow_larger : bool
        Whether the output may be larger than the input.
    size : int, optional
        What the whole file may take, in place of what the input allows.
    n_threads : int, optional
        The result does not depend on it.
    """
    threads = thread_count(n_threads)
    metadata = save_options(picture.metadata, "jpeg", policy)
    extra = n_metadata(metadata)
    if size is None:
        goal, limit, own = budget(picture, contents, extra, allow_larger=allow_larger)
    else:
        goal = limit = own = size - extra

    def measure(data: bytes) -> Shown:
        return shown_by(data, picture.pixels, palette, indices, n_threads=threads)

    jpeg = encoded_within(
        # A profile of RGB does not fit grey pixels.
        full_color(palette, indices, grey=picture.metadata.icc is None),
        goal,
        limit,
        measure,
        exact_mse=exact_mse,
        own=own,
        quality=options.quality,
        subsampling=options.subsampling,
        n_threads=threads,
    )
    return jpeg._replace(data=with_metadata(jpeg.data, metadata))

"""Remove the metadata that a policy forbids from a file whose pixels stay as they are, bit by bit.

JPEG, PNG, WebP and GIF consist of parts that can be left out. Of BMP the resolution is set to zero.
TIFF has metadata among the tags that say where the pixels lie: a file that has any is left alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from kmeans_c.checks import check_choice
from kmeans_c.images import load, png_file
from kmeans_c.images.cleaning import gif, jpeg, png, tiff, webp
from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.decoders import format_of, naming, opened
from kmeans_c.images.exif import texts
from kmeans_c.images.metadata import POLICIES, kept, read_metadata
from kmeans_c.images.orientation import SIDEWAYS
from kmeans_c.images.tiff_metadata import SAFE_TIFF_TAGS, read_chain

_CLEANERS: dict[str, Callable[[bytes, Needed], bytes]] = {
    "jpeg": jpeg.cleaned,
    "png": png.cleaned,
    "webp": webp.cleaned,
    "gif": gif.cleaned,
    "bmp": tiff.cleaned_bmp,
    "tiff": tiff.cleaned,
}


def cleaned(contents: bytes, policy: str) -> bytes | None:
    """Give an image file without the metadata that a policy forbids.

    What decides how the pixels look stays: ICC profile, orientation, gamma.

    Parameters
    ----------
    contents : bytes
        An image file that can be read.
    policy : {"none", "safe", "keep"}
        "safe" keeps the resolution, artist and copyright, as in a file that is written anew.

    Returns
    -------
    bytes or None
        `contents` itself where nothing has to go; None where something has to and can't.
    """
    check_choice("metadata", policy, POLICIES)
    if policy == "keep":
        return contents
    with naming("image"):
        file = io.BytesIO(contents)
        kind = format_of(file)
        cleaner = _CLEANERS.get(kind)
        needed = _needed(file, kind, policy)
    if cleaner is None:
        return None
    try:
        clean = cleaner(contents, needed)
    except ValueError:  # not in the order that the format's specification asks for
        return None
    return contents if clean == contents else clean


def _needed(file: io.BytesIO, kind: str, policy: str) -> Needed:
    """Read what the cleaned file has to say."""
    image = opened(png_file.without_animation(file) if kind == "png" else file)
    orientation, sideways = load(image)  # what follows the pixels of a PNG is read with them
    if kind == "tiff":
        chain = read_chain(file)
        said, _ = chain.metadata(chain.pages[0], None, sideways=sideways)
    else:
        said = read_metadata(image, None, sideways=sideways)
    metadata = kept(said, policy)
    dpi = metadata.dpi
    return Needed(
        orientation=orientation if orientation in range(2, 9) else 1,  # type: ignore[arg-type]
        fields=texts(metadata.exif or b""),
        dpi=dpi[::-1] if dpi and orientation in SIDEWAYS else dpi,
        texts=frozenset(key for key, _ in metadata.texts),
        tags=SAFE_TIFF_TAGS if kind == "tiff" and policy == "safe" else frozenset(),
    )

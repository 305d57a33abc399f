"""What a metadata policy lets through and the output's format has no place for."""

from kmeans_c.images import iptc
from kmeans_c.images.metadata import (
    GEOREFERENCE,
    JPEG_SEGMENT,
    JPEG_XMP,
    PAGE,
    SAFE_TEXTS,
    Metadata,
    kept,
)
from kmeans_c.images.png_chunks import LONG_TEXTS

_WITH_EXIF = ("png", "jpeg", "webp", "tiff")
_WITH_IPTC = ("png", "jpeg", "tiff")
_WITH_TEXTS = ("png", "jpeg", "gif")
_KNOWN = frozenset((*GEOREFERENCE, *PAGE))


def losses(metadata: Metadata, kind: str, policy: str) -> tuple[str, ...]:
    """Name what is lost although the policy lets it through, and the unknown tags of a TIFF.

    Parameters
    ----------
    metadata : Metadata
        As it was read.
    kind : str
        The format that is written.
    policy : {"none", "safe", "keep"}

    Returns
    -------
    tuple of str
        For `Compressed.losses`. A resolution without a place is not worth a word.
    """
    left = kept(metadata, policy)
    names = [name for name, lost in _candidates(left, kind, policy) if lost]
    if kind != "tiff":
        names += _tag_names({tag for tag, _ in left.tags})
    found = [f"no place in {kind}: {', '.join(names)}"] if names else []
    unknown = sorted(tag for tag, _ in metadata.tags if tag not in _KNOWN)
    if policy == "safe" and unknown:
        numbers = ", ".join(map(str, unknown))
        found.append(f"TIFF tags {numbers}, which are unknown, are left out")
    if policy == "keep" and metadata.unread:
        numbers = ", ".join(map(str, metadata.unread))
        found.append(f"TIFF tags {numbers}, which can't be read, are left out")
    return tuple(found)


def policy_notes(notes: tuple[str, ...], policy: str) -> tuple[str, ...]:
    """Return the notes without those of metadata that the policy leaves out anyway."""
    if policy == "keep":
        return notes
    return tuple(note for note in notes if not note.startswith(LONG_TEXTS))


def _candidates(left: Metadata, kind: str, policy: str) -> list[tuple[str, bool]]:
    has_exif = left.exif is not None and kind not in _WITH_EXIF and _says_something(left.exif)
    exif_name = "EXIF data" if policy == "keep" else "artist and copyright"
    # Others have EXIF for the two names.
    texts = [key for key, _ in left.texts if kind not in ("webp", "tiff") or key not in SAFE_TEXTS]
    jpeg = kind == "jpeg"
    long_iptc = jpeg and left.iptc is not None and iptc.jpeg_segment(left.iptc) is None
    return [
        (exif_name, has_exif),
        (f"{exif_name} above 64 KiB", jpeg and len(left.exif or b"") + 6 > JPEG_SEGMENT),
        ("XMP data", bool(left.xmp) and kind not in _WITH_EXIF),
        ("XMP data above 64 KiB", jpeg and len(left.xmp or b"") > JPEG_XMP),
        ("IPTC data", bool(left.iptc) and kind not in _WITH_IPTC),
        ("IPTC data above 64 KiB", long_iptc),
        ("texts", bool(texts) and kind not in _WITH_TEXTS),
    ]


def _says_something(exif: bytes) -> bool:
    from kmeans_c.images.fields import parsed  # noqa: PLC0415 - most outputs hold EXIF

    return bool(parsed(exif))


def _tag_names(tags: set[int]) -> list[str]:
    names = []
    if tags & set(GEOREFERENCE):
        names.append("the georeference")
    if tags & set(PAGE):
        names.append("the page's name")
    others = sorted(tags - _KNOWN)
    if others:
        names.append(f"TIFF tags {', '.join(map(str, others))}")
    return names

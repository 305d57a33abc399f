"""What targets look like as text: "65-80" for a quality, "50K" for a size."""

from __future__ import annotations

import re

MOST_QUALITY = 100

# Powers of 1000, and those of 1024 (IEC 80000-13).
UNITS = {
    "": 1,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "KI": 1024,
    "MI": 1024**2,
    "GI": 1024**3,
}

_QUALITY = re.compile(r"(\d{0,3})(-?)(\d{0,3})", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:([KMG]?I?)B?|(%))", re.ASCII | re.IGNORECASE)


def parse_quality(text: str) -> tuple[int, int]:
    """Read a range of qualities, as pngquant's ``--quality`` has it.

    Parameters
    ----------
    text : str
        "65-80": at least 65, and as few colours as 80 takes. "-80": 0 to 80. "65-": 65 to 100.
        "80": 72 to 80, nine tenths of it at least.

    Returns
    -------
    low, high : int
        0 <= low <= high <= 100.

    Raises
    ------
    TypeError, ValueError
        If it is no str, or no such range.
    """
    if not isinstance(text, str):
        raise TypeError(f"quality: expected a str, got {type(text).__name__}")
    found = _QUALITY.fullmatch(text.strip())
    if found is None or not (found[1] or found[3]):
        raise ValueError(f'quality: expected MIN-MAX, as in "65-80", got {text!r}')
    if found[2]:
        low, high = int(found[1] or 0), int(found[3] or MOST_QUALITY)
    else:
        high = int(found[1])
        low = high * 9 // 10
    if not low <= high <= MOST_QUALITY:
        raise ValueError(f"quality: expected 0 <= MIN <= MAX <= 100, got {text!r}")
    return low, high


def parse_size(text: str, whole: int | None = None) -> int:
    """Read a number of bytes.

    Parameters
    ----------
    text : str
        "50000", "50K" (of 1000 bytes), "1.5M", "50Ki" (of 1024), "50KiB"; or "40%" of `whole`.
        Letters may be small.
    whole : int, optional
        Bytes of the input; without it no percentage is understood.

    Returns
    -------
    int
        At least 1; parts of a byte are dropped.

    Raises
    ------
    TypeError, ValueError
        If it is no str, no size, or less than a byte.
    """
    if not isinstance(text, str):
        raise TypeError(f"size: expected a str, got {type(text).__name__}")
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[2] or "").upper() not in UNITS:
        raise ValueError(f'size: expected bytes, as in "50K", "1.5Mi" or "40%", got {text!r}')
    if found[3] and whole is None:
        raise ValueError(f"size: expected bytes, as there is nothing to take {text!r} of")
    # In whole numbers: 1.1M is 1,100,000 bytes, not one less.
    digits, _, decimals = found[1].partition(".")
    number, divisor = int(digits + decimals or "0"), 10 ** len(decimals)
    if whole is not None and found[3]:
        number, divisor = number * whole, divisor * 100
    else:
        number *= UNITS[(found[2] or "").upper()]
    size: int = number // divisor
    if size < 1:
        raise ValueError(f"size: expected at least 1 byte, got {text!r}")
    return size

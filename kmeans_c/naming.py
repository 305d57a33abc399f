"""Names of inputs and outputs: default names, formats by ending, file identity."""

from __future__ import annotations

import dataclasses
import io
import os
from typing import BinaryIO, TypeAlias, cast

from kmeans_c.encoding import AUTO, ENDINGS, FORMATS, check_format, format_for
from kmeans_c.files import FilePath, check_target

Source: TypeAlias = FilePath | BinaryIO

SUFFIX = "_compressed"  # of the default output's name


@dataclasses.dataclass(frozen=True, slots=True)
class ByFormat:
    """A name whose ending is known only when the smallest format is.

    Attributes
    ----------
    stem : str
        The name without its ending.
    suffix : str
        The input's ending, which stays if it is one of the format's.
    """

    stem: str
    suffix: str

    @classmethod
    def beside(cls, path: FilePath, suffix: str = SUFFIX) -> ByFormat:
        """Name it like another file, with `suffix` between the name and its ending."""
        # A Path would drop a leading "./".
        stem, ending = os.path.splitext(os.fspath(path))  # noqa: PTH122
        return cls(stem + suffix, ending)

    def path(self, kind: str) -> str:
        """Name the file of a format."""
        same = FORMATS.get(self.suffix.lower()) == kind
        return self.stem + (self.suffix if same else ENDINGS[kind])

    def paths(self) -> list[str]:
        """Name the files that there may be in the end."""
        kinds = [*AUTO, FORMATS.get(self.suffix.lower(), AUTO[0])]
        return [self.path(kind) for kind in dict.fromkeys(kinds)]


def default_output(
    input: Source,  # noqa: A002 - as in compress
    format: str | None = None,  # noqa: A002 - as in compress
    *,
    suffix: str = SUFFIX,
) -> str:
    """Name the file that `compress` writes by default.

    Parameters
    ----------
    input : path
        photo.jpg gives photo_compressed.jpg. What can't be written becomes a PNG: scan.ppm
        gives scan_compressed.png.
    format : str, optional
        "png", "jpeg" ...: photo.jpg as "png" gives photo_compressed.png.
    suffix : str
        What comes between the name and its ending.

    Returns
    -------
    str
        The name of a file in the same folder.

    Raises
    ------
    TypeError
        If `input` is a file object, so that there is no name to start from.
    """
    if not isinstance(input, str | os.PathLike):
        raise TypeError("output: expected a path or a binary file object, got None")
    named = ByFormat.beside(input, suffix)
    own = FORMATS.get(named.suffix.lower(), "png")
    return named.path(own if format is None else check_format(format))


def same_file(input: Source, output: Source) -> bool:  # noqa: A002 - as in compress
    """Say whether both are one file, by whatever names and links they are called.

    Parameters
    ----------
    input, output : path or binary file object
        What `compress` was given.

    Returns
    -------
    bool
        False also where one of them does not exist.
    """
    if not isinstance(input, str | os.PathLike) or not isinstance(output, str | os.PathLike):
        return input is output
    try:
        return os.path.samefile(input, output)  # noqa: PTH121
    except OSError:
        return False


def check_source(source: object) -> None:
    """Refuse an input that is neither a path nor a binary file object."""
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        got = type(source).__name__
        raise TypeError(f"input: expected a path or a binary file object, got {got}")


def named_beside(source: Source, format: str | None) -> str | ByFormat:  # noqa: A002
    """Name the output beside the input, with an open ending for the format "auto"."""
    if format != "auto":
        return default_output(source, format)
    default_output(source)  # which says if there is no name to start from
    return ByFormat.beside(cast("FilePath", source))


def format_of_output(format: str | None, target: Source | ByFormat) -> str | None:  # noqa: A002
    """Name the format to write, or "auto", or None for the input's own."""
    if isinstance(target, ByFormat):
        if format != "auto":
            raise ValueError(f"format: expected 'auto' for an open ending, got {format!r}")
        return "auto"
    if format is not None:
        return "auto" if format == "auto" else check_format(format)
    if isinstance(target, str | os.PathLike) or isinstance(getattr(target, "name", None), str):
        return format_for(target)
    if not hasattr(target, "write"):
        got = type(target).__name__
        raise TypeError(f"output: expected a path or a binary file object, got {got}")
    return None


def check_output(source: Source, target: Source | ByFormat, *, overwrite: bool) -> bool:
    """Refuse what could not be written in the end; say whether the output replaces the input."""
    if isinstance(target, ByFormat):
        return False
    in_place = same_file(source, target)
    if in_place and not overwrite:
        raise ValueError(
            f"output: is the input itself ({file_name(source)}); overwrite=True replaces it"
        )
    if isinstance(target, str | os.PathLike):
        check_target(target, overwrite=overwrite)
    return in_place


class NamedBytes(io.BytesIO):
    """The contents of a file, with its name.

    Parameters
    ----------
    contents : bytes
    name : str or None
    """

    def __init__(self, contents: bytes, name: str | None) -> None:
        super().__init__(contents)
        self.name = name


def file_name(file: Source) -> str | None:
    """Return the name of a path or file object; None for a file object without one."""
    if isinstance(file, str | os.PathLike):
        return os.fspath(file)
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None

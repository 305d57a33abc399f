"""Reading PNG: Pillow's decoder, and the transparent colour of 16 bits, which it compares by 8."""

from __future__ import annotations

from typing import IO, Any, cast

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

_WIDE_RGB = "RGB;16B"  # Pillow's names of the samples: the high byte of each, and the low one
_LOW_BYTES = "RGB;16L"


class PngFile(PngImageFile):
    """Pillow's PNG, whose pixels of 16 bits are transparent only if both of their bytes agree."""

    compares_16_bits = True
    long_texts = 0  # how many were left out, see `png_chunks`

    def load(self) -> Any:
        """Decode the pixels."""
        key = self.info.get("transparency")
        if not self.tile or self.tile[0].args != _WIDE_RGB or not isinstance(key, tuple):
            return super().load()
        file = cast("IO[bytes]", self.fp)
        at = file.tell()
        file.seek(0)
        low = PngImageFile(file, "")
        low.tile = [low.tile[0]._replace(args=_LOW_BYTES)]
        del low.info["transparency"]
        low.load()
        file.seek(at)
        del self.info["transparency"]
        super().load()
        high = np.asarray(self)
        clear = np.all(high == [value >> 8 for value in key], axis=2)
        clear &= np.all(np.asarray(low) == [value & 255 for value in key], axis=2)
        alpha = np.where(clear, np.uint8(0), np.uint8(255))
        decoded = Image.fromarray(np.dstack([high, alpha]))
        self._mode, self.im = decoded.mode, decoded.im
        return Image.Image.load(self)

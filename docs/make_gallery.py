"""Render the pictures of the gallery page, from the photo in examples/ and a made gradient."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import kmeans_c

HERE = Path(__file__).parent
ROWS = (
    ("srgb-none", {}),
    ("oklab-none", {"space": "oklab"}),
    ("oklab-adaptive", {"space": "oklab", "dither": "adaptive", "dither_strength": 0.75}),
    ("oklab-floyd-steinberg", {"space": "oklab", "dither": "floyd-steinberg"}),
    ("oklab-blue-noise", {"space": "oklab", "dither": "blue-noise"}),
)


def gradient() -> Image.Image:
    """Make a smooth sweep of hues that gets darker downwards."""
    y, x = np.mgrid[0:200, 0:300]
    hue = np.stack([np.cos(x / 48 + phase) for phase in (0, 2.1, 4.2)], axis=-1)
    return Image.fromarray(np.uint8((hue * 0.5 + 0.5) * (255 - y[..., np.newaxis])))


def main(folder: Path) -> None:
    """Write one PNG for each picture, number of colours and method."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = Image.open(HERE.parent / "examples" / "image.jpg").convert("RGB")
    for name, picture in (("photo", photo.crop((150, 100, 450, 300))), ("gradient", gradient())):
        picture.save(folder / f"{name}-original.png")
        for K in (8, 16, 64):
            for method, options in ROWS:
                result = kmeans_c.quantize(picture, K, **options)
                result.save(folder / f"{name}-{K}-{method}.png", overwrite=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gallery")

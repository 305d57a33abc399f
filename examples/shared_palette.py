"""One palette for several images: python shared_palette.py [IMAGE ...]."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import kmeans_c

K = 32


def frames() -> dict[str, Image.Image]:
    """The images named on the command line, or three frames that move over the example photo."""
    if sys.argv[1:]:
        return {Path(name).stem: Image.open(name).convert("RGB") for name in sys.argv[1:]}
    with Image.open(Path(__file__).with_name("image.jpg")) as opened:
        photo = opened.convert("RGB")
    return {f"frame{i}": photo.crop((90 * i, 40 * i, 90 * i + 320, 40 * i + 240)) for i in range(3)}


images = frames()

# All are counted into one histogram; the order does not matter.
histogram = kmeans_c.Histogram()
for image in images.values():
    histogram.add(np.asarray(image))

palette = kmeans_c.Palette.fit(histogram, K=K)
print(f"{len(images)} images, {len(histogram)} colours -> {len(palette)}")

for name, image in images.items():
    # An index means the same colour in every file, used there or not.
    shown = Image.fromarray(palette.map(image))
    shown.putpalette(palette.colors.tobytes())
    shown.save(f"{name}_shared.png", optimize=True)
    print(f"{name}_shared.png: {len(shown.getcolors())} of the {len(palette)} colours used")

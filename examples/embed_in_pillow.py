"""Between two Pillow steps: a thumbnail, reduced to 32 colours, as a true palette image."""

from pathlib import Path

from PIL import Image

import kmeans_c

with Image.open(Path(__file__).with_name("image.jpg")) as photo:
    photo.thumbnail((300, 300))
    result = kmeans_c.quantize(photo, K=32)

image = result.to_pil()
assert image.mode == "P"
image.save("thumbnail.png", optimize=True)

for color, count in sorted(zip(result.palette.tolist(), result.counts, strict=True))[:3]:
    print("#{:02x}{:02x}{:02x}".format(*color), count)
print(image.mode, image.size, f"{Path('thumbnail.png').stat().st_size} bytes")

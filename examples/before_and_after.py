"""Draw the README's picture: a photo, and the same photo in 16 colours with its palette."""

import sys
from pathlib import Path

import kmeans_c
from kmeans_c.views.preview import preview

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("image.jpg")
result = kmeans_c.quantize(photo, K=16)

preview(photo, result).save("before_and_after.png", optimize=True)
height, width = result.indices.shape
print(f"{width} x {height}: {result.psnr:.1f} dB in 16 colours")

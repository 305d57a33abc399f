"""Draw the README's picture: a photo, and the same photo in 16 colours with its palette."""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import kmeans_c

GAP, STRIP = 12, 24  # pixels

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("image.jpg")
before = Image.open(photo).convert("RGB")
result = kmeans_c.quantize(before, K=16)

width, height = before.size
sheet = Image.new("RGB", (2 * width + GAP, height + GAP + STRIP), "white")
sheet.paste(before, (0, 0))
sheet.paste(result.to_pil().convert("RGB"), (width + GAP, 0))

# Below the result its palette, each colour as wide as its share of the pixels.
draw = ImageDraw.Draw(sheet)
left = width + GAP
pixels = 0
for color, count in zip(result.palette.tolist(), result.counts.tolist(), strict=True):
    start, pixels = pixels, pixels + count
    edges = [left + width * share // before.width // before.height for share in (start, pixels)]
    draw.rectangle((edges[0], height + GAP, edges[1] - 1, height + GAP + STRIP - 1), tuple(color))

sheet.save("before_and_after.png", optimize=True)
print(f"{width} x {height}: {result.psnr:.1f} dB in 16 colours")

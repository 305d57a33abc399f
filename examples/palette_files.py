"""Recolour a photo with a palette that has a name, and exchange palettes as files."""

from pathlib import Path

import kmeans_c
from kmeans_c.palette_files import read_palette, write_palette
from kmeans_c.palette_sets import named_palette

photo = Path(__file__).with_name("image.jpg")

game = kmeans_c.quantize(photo, palette=named_palette("pico-8"))
game.save("pico-8.png", overwrite=True)
print(f"pico-8.png: {game.psnr:.1f} dB in PICO-8's 16 colours")

# What was fitted, as a file for GIMP, Inkscape or Krita, and back.
fitted = kmeans_c.quantize(photo, K=16)
write_palette(kmeans_c.Palette(fitted.palette), "photo.gpl", overwrite=True)
again = kmeans_c.quantize(photo, palette=read_palette("photo.gpl"))
assert (again.indices == fitted.indices).all()
print(f"photo.gpl: {len(again.palette)} colours, {again.psnr:.1f} dB with them")

"""A photo becomes a PNG of 16 colours: python quickstart.py [IMAGE]."""

import sys
from pathlib import Path

import kmeans_c

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("image.jpg")
done = kmeans_c.compress(photo, "quickstart.png", K=16, ITERS=10, overwrite=True)

print(f"colours: {done.colors_before} -> {done.colors_after}")
print(f"bytes:   {done.bytes_before} -> {done.bytes_after}")
print(f"PSNR:    {done.psnr:.1f} dB")

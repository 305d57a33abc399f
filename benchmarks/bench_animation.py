"""Bytes and time of an animation's writers here and in Pillow, given the same palette and frames.

    python benchmarks/bench_animation.py [FILE ...] [--colors 16 255]

Without files: a photo over which a disc and some confetti move. Each line ends with whether Pillow
kept the number of frames: its writers join equal ones.
"""

import argparse
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image
from timing import in_turn, median_ratio, milliseconds, picture

from kmeans_c.animation import quantize_animation
from kmeans_c.animation.drawings import Cel
from kmeans_c.encoding import indexed_image
from kmeans_c.images.frames import read_frames

KINDS = ("gif", "png", "webp")


def film() -> bytes:
    """24 frames of 480 x 320, of which little changes."""
    ground = picture(None, 480, 320)
    y, x = np.mgrid[:320, :480]
    rng = np.random.default_rng(1)
    frames = []
    for number in range(24):
        frame = ground.copy()
        frame[(x - 60 - 15 * number) ** 2 + (y - 160) ** 2 < 900] = (200, 30, 40)
        for row, column in rng.integers(0, 300, (20, 2)):
            frame[row : row + 4, column : column + 4] = rng.integers(0, 256, 3)
        frames.append(Image.fromarray(frame))
    data = io.BytesIO()
    frames[0].save(
        data, "WEBP", save_all=True, append_images=frames[1:], lossless=True, duration=40
    )
    return data.getvalue()


def by_pillow(cels: Iterable[Cel], kind: str) -> bytes:
    """What Pillow writes of these frames, at its best."""
    images = [indexed_image(cel.palette, cel.indices) for cel in cels]
    clear = (
        {"transparency": 0} if kind == "gif" and images[0].info.pop("transparency", None) else {}
    )
    options = {
        "gif": {"disposal": 2 if clear else 1, **clear},
        "png": {"compress_level": 9},
        "webp": {"lossless": True, "quality": 100, "method": 4, "minimize_size": True},
    }[kind]
    data = io.BytesIO()
    images[0].save(
        data, kind, save_all=True, append_images=images[1:], duration=40, loop=0, **options
    )
    return data.getvalue()


def main() -> None:
    """Print a line a file, number of colours and format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--colors", type=int, nargs="+", default=[16, 255])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for source in options.files or [io.BytesIO(film())]:
        with read_frames(source) as animation:
            for K in options.colors:
                quantized = quantize_animation(animation, K)
                cels = list(quantized.cels())
                for kind in KINDS:
                    try:
                        ours = quantized.encode(kind, metadata="none")
                    except ValueError as error:
                        print(f"{source} K={K} {kind}: {error}")
                        continue
                    theirs = by_pillow(cels, kind)
                    mine, pillow = in_turn(
                        options.rounds,
                        lambda q=quantized, k=kind: q.encode(k, metadata="none"),
                        lambda c=cels, k=kind: by_pillow(c, k),
                    )
                    with read_frames(io.BytesIO(theirs)) as again:
                        kept = len(again) == len(animation)
                    name = source if isinstance(source, str) else "film"
                    print(
                        f"{name} K={K} {kind}: {len(ours.data)} bytes, "
                        f"{len(ours.data) / len(theirs):.3f} of Pillow's; {milliseconds(mine)}, "
                        f"{1 / median_ratio(pillow, mine):.2f} of its time; "
                        f"all frames: {'yes' if kept else 'no'}"
                    )


if __name__ == "__main__":
    main()

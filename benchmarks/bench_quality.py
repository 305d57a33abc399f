"""How good palettes are, beside others' at the same number of colours: bench_quality.py.

    python benchmarks/bench_quality.py mse FOLDER_OR_IMAGE ... [--best BEST.csv]
    python benchmarks/bench_quality.py seen FOLDER_OR_IMAGE ... [--dither] [--alpha] [--ssimulacra2]

mse: mean and worst excess of the mean squared error in sRGB over the best known, and the median
time, with one thread. BEST.csv has columns image (a file's stem), K and best_known; without it, the
best of the row is the best known.

seen: `space="oklab"` against others by what the eye is thought to see: the mean distance in Oklab
times 100 (dE), SSIM of luma, and on how many of the images ours is the lower and the better in both
(wins; what has as few colours as asked for is left out). With --dither all dither; what dithering
is for shows in the distance after blurring. With --alpha,
pictures with transparency are the ones looked at, over black and over white, and both are averaged;
else transparent pictures are left out. All figures are recomputed from what was returned.

Peers from PyPI: imagequant, scikit-learn; opencv-python-headless for SSIM; ssimulacra2.
"""

import argparse
import csv
import importlib
import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from metrics import blurred_distances, mse, oklab_distances, over, ssim
from numpy.typing import NDArray
from PIL import Image

import kmeans_c
from kmeans_c.images import as_pixels

Pixels = NDArray[np.uint8]
Call = Callable[[Pixels, int], Pixels]  # an image and K to the image in K colours

MOST_PIXELS = 1 << 22  # of a picture that is looked at


def ours(image: Pixels, K: int, **options: object) -> Pixels:
    return kmeans_c.quantize(image, K, n_threads=1, **options).to_array()


def pillow(image: Pixels, K: int, *, method: str, dither: bool = False) -> Pixels:
    picture = Image.fromarray(image)
    done = picture.quantize(K, Image.Quantize[method])
    if dither:
        done = picture.quantize(palette=done, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(done.convert(picture.mode))


def imagequant(image: Pixels, K: int, *, dither: bool = False) -> Pixels:
    library = importlib.import_module("imagequant")
    height, width, channels = image.shape
    if channels == 3:
        image = np.dstack([image, np.full((height, width), 255, np.uint8)])
    indices, palette = library.quantize_raw_rgba_bytes(
        image.tobytes(), width, height, dithering_level=float(dither), max_colors=K
    )
    colors = np.reshape(palette, (-1, 4)).astype(np.uint8)[:, :channels]
    return colors[np.frombuffer(indices, np.uint8)].reshape(height, width, channels)


def scikit_learn(image: Pixels, K: int) -> Pixels:
    """The colour-quantization example of scikit-learn's documentation: a fit to 1000 pixels."""
    cluster = importlib.import_module("sklearn.cluster")
    limits = importlib.import_module("threadpoolctl").threadpool_limits
    X = image.reshape(-1, 3).astype(np.float32)
    sample = X[np.random.default_rng(0).permutation(len(X))[:1000]]
    with limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct colours than K
        model = cluster.KMeans(min(K, len(sample)), random_state=0, n_init=1).fit(sample)
        labels = model.predict(X)
    colors = np.clip(np.rint(model.cluster_centers_), 0, 255).astype(np.uint8)
    return colors[labels].reshape(image.shape)


BY_MSE: dict[str, Call] = {
    "fast": partial(ours, effort="fast"),
    "balanced": ours,
    "best": partial(ours, effort="best"),
    "imagequant": imagequant,
    "Pillow MEDIANCUT": partial(pillow, method="MEDIANCUT"),
    "Pillow FASTOCTREE": partial(pillow, method="FASTOCTREE"),
    "scikit-learn's example": scikit_learn,
}


def images(paths: list[Path], *, alpha: bool) -> Iterator[tuple[str, Pixels]]:
    """Yield names and pixels, RGBA or RGB, of all that Pillow reads."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix.lower() not in Image.registered_extensions():
                continue
            try:
                pixels = as_pixels(file)
            except (OSError, ValueError) as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            if pixels.ndim == 2:
                pixels = np.repeat(pixels[..., None], 3, axis=2)
            transparent = pixels.shape[2] == 4 and bool((pixels[..., 3] < 255).any())
            size = pixels.shape[0] * pixels.shape[1]
            if transparent == alpha and size <= MOST_PIXELS:
                yield file.stem, pixels if alpha else np.ascontiguousarray(pixels[..., :3])


def distinct(image: Pixels) -> int:
    return len(kmeans_c.Histogram(image.shape[2]).add(image))


# ---- by mean squared error


def by_mse(options: argparse.Namespace) -> None:
    best = {}
    if options.best:
        with options.best.open(newline="") as file:
            for row in csv.DictReader(file):
                best[row["image"], int(row["K"])] = float(row["best_known"])
    pictures = list(images(options.paths, alpha=False))
    calls = installed({n: c for n, c in BY_MSE.items() if chosen(n, options.only)})
    print(f"{len(pictures)} images\n\n| | K | mean | worst | ms |\n|---|--:|--:|--:|--:|")
    for K in options.k:
        excess: dict[str, list[float]] = {name: [] for name in calls}
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for stem, image in pictures:
            if distinct(image) <= K:
                continue
            found = {}
            for name, call in calls.items():
                start = time.perf_counter()
                shown = call(image, K)
                seconds[name].append(time.perf_counter() - start)
                found[name] = mse(image, shown)
            least = best.get((stem, K), min(found.values()))
            for name, error in found.items():
                excess[name].append(100 * (error / least - 1))
        for name in calls:
            print(
                f"| {name} | {K} | {statistics.mean(excess[name]):+.2f} % "
                f"| {max(excess[name]):+.2f} % | {1e3 * statistics.median(seconds[name]):.1f} |",
                flush=True,
            )


# ---- by what is seen


def seen_calls(*, dither: bool, alpha: bool) -> dict[str, Call]:
    """Ours first."""
    words = {"none": {}}
    if dither:
        words = {
            "floyd-steinberg": {"dither": "floyd-steinberg"},
            "adaptive": {"dither": "adaptive"},
            "adaptive 0.75": {"dither": "adaptive", "dither_strength": 0.75},
        }
    calls: dict[str, Call] = {
        f"oklab, {word}": partial(ours, space="oklab", **options) for word, options in words.items()
    }
    calls["srgb"] = partial(ours, **words["adaptive" if dither else "none"])
    calls["imagequant"] = partial(imagequant, dither=dither)
    if not alpha:  # MEDIANCUT has no alpha, and dithering none
        calls["Pillow MEDIANCUT"] = partial(pillow, method="MEDIANCUT", dither=dither)
    if not (alpha and dither):
        calls["Pillow FASTOCTREE"] = partial(pillow, method="FASTOCTREE", dither=dither)
    return calls


class Figures(NamedTuple):
    """Of a picture: distances in Oklab times 100 and SSIM.

    `high` is the 99.9th percentile of the pixels, `blurred` the mean after blurring.
    """

    distance: float
    high: float
    likeness: float
    blurred: float


def figures(image: Pixels, shown: Pixels) -> Figures:
    if image.shape[2] == 3:
        apart = oklab_distances(image, shown)
        afar = blurred_distances(image, shown)
        high = float(np.percentile(apart, 99.9))
        return Figures(float(apart.mean()), high, ssim(image, shown), float(afar.mean()))
    rows = [figures(over(image, grey), over(shown, grey)) for grey in (0, 255)]
    return Figures(*np.mean(rows, axis=0))


def by_eye(options: argparse.Namespace) -> None:
    pictures = list(images(options.paths, alpha=options.alpha))
    calls = installed(seen_calls(dither=options.dither, alpha=options.alpha))
    mine = [name for name in calls if name.startswith("oklab")]
    heads = "".join(f" {name} wins |" for name in mine)
    print(f"{len(pictures)} images\n\n| | K | dE | dE 99.9 % | SSIM | dE blurred |{heads}")
    print("|---|--:|--:|--:|--:|--:|" + "--:|" * len(mine))
    for K in options.k:
        found: dict[str, list[Figures]] = {name: [] for name in calls}
        for stem, image in pictures:
            if distinct(image) <= K:
                continue
            for name, call in calls.items():
                found[name].append(figures(image, call(image, K)))
            if options.verbose:
                last = [rows[-1] for rows in found.values()]
                row = "  ".join(f"{each.distance:.3f} {each.likeness:.4f}" for each in last)
                print(f"K={K} {stem[:30]:30s} {row}", file=sys.stderr, flush=True)
        for name, rows in found.items():
            mean = Figures(*np.mean(rows, axis=0))
            wins = "".join(f" {wins_of(found[own], [rows])} |" for own in mine)
            print(
                f"| {name} | {K} | {mean.distance:.3f} | {mean.high:.2f} | {mean.likeness:.4f} "
                f"| {mean.blurred:.3f} |"
                f"{' |' * len(mine) if name in mine else wins}",
                flush=True,
            )
        rivals = [name for name in calls if name not in mine and name != "srgb"]
        every = [wins_of(found[own], [found[name] for name in rivals]) for own in mine]
        print(f"| better than all of them | {K} | | | | |" + "".join(f" {w} |" for w in every))
    if options.ssimulacra2:
        by_ssimulacra2(pictures, calls, options)


def better(a: Figures, b: Figures) -> bool:
    return a.distance <= b.distance and a.likeness >= b.likeness


def wins_of(mine: list[Figures], others: list[list[Figures]]) -> str:
    """On how many images ours is better than all the others."""
    pairs = zip(mine, *others, strict=True)
    return f"{100 * statistics.mean(all(better(a, b) for b in rest) for a, *rest in pairs):.0f} %"


def by_ssimulacra2(
    pictures: list[tuple[str, Pixels]], calls: dict[str, Call], options: argparse.Namespace
) -> None:
    """The score of the last K, of as many images as asked for."""
    library = importlib.import_module("ssimulacra2")
    K = options.k[-1]
    step = max(1, len(pictures) // options.ssimulacra2)
    some = pictures[::step][: options.ssimulacra2]
    print(f"\nSSIMULACRA2 at K={K}, mean of {len(some)} images")
    for name, call in calls.items():
        scores = [
            library.compute_ssimulacra2(as_file(image), as_file(call(image, K)))
            for _, image in some
        ]
        print(f"{name:24s} {statistics.mean(scores):6.2f}", flush=True)


def as_file(image: Pixels) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    file.seek(0)
    return file


# ---- the command


def chosen(name: str, only: list[str]) -> bool:
    return not only or any(word in name for word in only)


def installed(calls: dict[str, Call]) -> dict[str, Call]:
    there = {}
    for name, call in calls.items():
        try:
            call(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), 2)
        except ImportError as error:
            print(f"not measured: {name} ({error})", file=sys.stderr)
        else:
            there[name] = call
    return there


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = parser.add_subparsers(required=True)
    for word, call, ks in (("mse", by_mse, "4,16,64,256"), ("seen", by_eye, "16,64,256")):
        command = words.add_parser(word)
        command.set_defaults(call=call)
        command.add_argument("paths", nargs="+", type=Path)
        command.add_argument("--k", type=numbers, default=numbers(ks))
        if word == "mse":
            command.add_argument("--best", type=Path)
            command.add_argument("--only", nargs="+", default=[])
        else:
            command.add_argument("--dither", action="store_true")
            command.add_argument("--alpha", action="store_true")
            command.add_argument("--verbose", action="store_true")
            command.add_argument("--ssimulacra2", type=int, default=0, metavar="IMAGES")
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()

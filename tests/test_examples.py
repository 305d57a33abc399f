"""Every example runs as a user would run it, and does what it says."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(script, folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / script, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_runs_and_says_something(script, tmp_path):
    assert run(script, tmp_path)


def test_quickstart_writes_sixteen_colours(tmp_path):
    assert "-> 16" in run("quickstart.py", tmp_path)
    with Image.open(tmp_path / "quickstart.png") as image:
        assert image.mode == "P"
        assert len(image.getcolors()) == 16
        assert (tmp_path / "quickstart.png").stat().st_size < (
            EXAMPLES / "image.jpg"
        ).stat().st_size


def test_the_clouds_are_found(tmp_path):
    output = run("embed_in_numpy.py", tmp_path)
    assert "[1000, 1000, 1000]" in output


def test_the_estimator_finds_the_clouds_with_and_without_scikit_learn(tmp_path):
    output = run("embed_in_sklearn.py", tmp_path)
    assert "[1000, 1000, 1000]" in output
    assert ("n_clusters': 3" in output) == ("was all" not in output)


def test_the_thumbnail_is_a_palette_image(tmp_path):
    run("embed_in_pillow.py", tmp_path)
    with Image.open(tmp_path / "thumbnail.png") as image:
        assert image.mode == "P"
        assert len(image.getcolors()) == 32


def test_frames_share_one_palette(tmp_path):
    assert "-> 32" in run("shared_palette.py", tmp_path)
    palettes = []
    for i in range(3):
        with Image.open(tmp_path / f"frame{i}_shared.png") as image:
            assert image.mode == "P"
            assert image.size == (320, 240)
            palettes.append(image.getpalette())
    assert palettes[0] == palettes[1] == palettes[2]
    assert len(palettes[0]) == 3 * 32


def test_files_share_one_palette_also_where_they_do_not_use_it_all(tmp_path):
    for name, color in [("black", 0), ("white", 255)]:
        Image.new("RGB", (4, 4), (color,) * 3).save(tmp_path / f"{name}.png")
    run("shared_palette.py", tmp_path, "black.png", "white.png")
    for name, index in [("black", 0), ("white", 1)]:
        with Image.open(tmp_path / f"{name}_shared.png") as image:
            assert image.getpalette() == [0, 0, 0, 255, 255, 255]
            assert image.getcolors() == [(16, index)]

"""What the command says where the standard output, or a library that it needs, is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import kmeans_c
from kmeans_c import cli

FULL = Path("/dev/full")
SAID = b"kmeans-c: standard output: No space left on device\n"


@pytest.fixture
def image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").save("image.png")
    return "image.png"


def command(*words):
    # -P: the installed package, also where the current folder is a checkout.
    return [sys.executable, "-P", "-m", "kmeans_c", *words]


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["report", "--help"],
        ["sweep", "--help"],
        ["sweep", "image.png", "-k", "2,4"],
        ["sweep", "image.png", "-k", "2,4", "--json"],
    ],
    ids=" ".join,
)
def test_a_full_disk(image, words):
    with FULL.open("wb") as full:
        done = subprocess.run(command(*words), stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, SAID)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sweep", "image.png", "-k", "2,4"]])
def test_a_reader_that_has_gone(image, words):
    end, start = os.pipe()
    os.close(end)
    with os.fdopen(start, "wb") as pipe:
        done = subprocess.run(command(*words), stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_and_version_are_printed_whole():
    said = {
        word: subprocess.run(command(word), capture_output=True, check=True, text=True).stdout
        for word in ("--help", "--version")
    }
    assert said["--version"] == f"kmeans-c {kmeans_c.__version__}\n"
    assert said["--help"].endswith("ended by Ctrl-C or SIGTERM.\n")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
def test_a_plot_is_written_although_nothing_can_be_printed(image):
    pytest.importorskip("matplotlib")
    with FULL.open("wb") as full:
        done = subprocess.run(
            command("sweep", image, "-k", "2,4", "--plot", "p.png"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, SAID)
    with Image.open("p.png") as plot:
        plot.load()


def test_a_plot_without_matplotlib_is_refused_before_the_work(image, monkeypatch, capsys):
    def no_work(*_, **__):
        raise AssertionError("the sweep began")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "plot" in name else name)
    monkeypatch.setattr("kmeans_c.histogram.Histogram.add", no_work)
    assert cli.main(["sweep", image, "--plot", "p.png"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "kmeans-c: --plot needs matplotlib: pip install 'kmeans-c[plot]'\n")
    assert not Path("p.png").exists()

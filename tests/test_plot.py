"""The figures show what they say."""

import subprocess
import sys
from types import SimpleNamespace

import hostile
import numpy as np
import pytest

import kmeans_c
from kmeans_c import Histogram, Palette
from kmeans_c.views.plot import MOST, plot, plot_sweep


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="an extra: kmeans-c[plot]")


@pytest.fixture
def result():
    return kmeans_c.quantize(hostile.photo(), 8)


def points(figure):
    """The points of a figure in space; their colours and areas, in the order of drawing."""
    figure.draw_without_rendering()
    (scatter,) = figure.axes[0].collections
    return np.array(scatter._offsets3d).T, scatter.get_facecolor(), scatter.get_sizes()


def test_a_result_s_colours_lie_at_their_places(matplotlib, result):
    places, colors, areas = points(plot(result))
    assert np.array_equal(places, result.palette)
    drawn = {tuple(color) for color in np.rint(255 * colors[:, :3]).astype(int).tolist()}
    assert drawn == {tuple(color) for color in result.palette.tolist()}
    # Equal steps of area for equal steps of count.
    shares = np.sort(result.counts) / result.counts.sum()
    areas = np.sort(areas)
    assert np.allclose(np.diff(areas), (areas[-1] - areas[0]) / np.ptp(shares) * np.diff(shares))


def test_oklab_is_ottosson_s(matplotlib):
    places, _, _ = points(plot(Palette([[255, 0, 0], [255, 255, 255], [0, 0, 0]]), space="oklab"))
    expected = [[0.2249, 0.1258, 0.6280], [0, 0, 1], [0, 0, 0]]  # sRGB red as CSS Color 4 has it
    assert np.allclose(places, expected, atol=1e-3)


def test_what_cannot_be_seen_is_left_out(matplotlib):
    places, _, _ = points(plot(Palette([[0, 0, 0, 0], [1, 2, 3, 128], [4, 5, 6, 255]])))
    assert places.tolist() == [[1, 2, 3], [4, 5, 6]]
    plot(Palette([[0, 0, 0, 0]]))


def test_of_a_histogram_the_most_frequent(matplotlib):
    codes = np.arange(MOST + 500)
    pixels = np.stack([codes >> 8, codes & 255, codes & 0], axis=1).astype(np.uint8)
    histogram = Histogram(3).add(pixels).add(pixels[-10:])
    places, _, areas = points(plot(histogram))
    assert len(places) == MOST
    assert {tuple(p) for p in places[:10].astype(int)} == {tuple(p) for p in pixels[-10:].tolist()}
    assert len(np.unique(areas)) == 2
    assert np.count_nonzero(areas == areas.max()) == 10
    grey = Histogram(1).add(np.arange(9, dtype=np.uint8)[:, np.newaxis])
    assert points(plot(grey))[0].shape == (9, 3)


def test_a_sweep_as_mappings_and_as_objects(matplotlib, tmp_path):
    rows = [
        {"K": 2, "mse": 90.0, "psnr": 20.0, "delta_e": 0.5, "bytes": 100},
        {"K": 16, "mse": 9.0, "psnr": 40.0, "delta_e": 0.05, "bytes": 1000},
        {"K": 256, "mse": 0.0, "psnr": float("inf"), "delta_e": 0.0, "bytes": 9000},
    ]
    for given in (rows, [SimpleNamespace(**row) for row in rows], iter(rows)):
        figure = plot_sweep(given)
        labels = [axes.get_ylabel() for axes in figure.axes]
        assert labels == ["bytes", "PSNR (dB)", "MSE", "mean ΔE"]
        x, y = figure.axes[0].lines[0].get_data()
        assert list(x) == [2, 16, 256]
        assert list(y) == [100, 1000, 9000]
        assert np.isnan(figure.axes[1].lines[0].get_ydata()[2])
    figure.savefig(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 1000


def test_a_sweep_without_some_columns(matplotlib):
    figure = plot_sweep([{"K": 2, "bytes": None, "mse": 3.0}, {"K": 4, "bytes": None, "mse": 2.0}])
    assert [axes.get_ylabel() for axes in figure.axes] == ["MSE"]
    for rows in ([], [{"K": 2}], [{"mse": 2.0}]):
        with pytest.raises(ValueError, match="rows: expected K and some of"):
            plot_sweep(rows)


def test_figures_are_drawn_without_pyplot(matplotlib, result, tmp_path):
    plot(result, space="oklab").savefig(tmp_path / "palette.svg")
    assert b"<svg" in (tmp_path / "palette.svg").read_bytes()
    code = (
        "import sys, kmeans_c, kmeans_c.views.plot\n"
        "assert 'matplotlib' not in sys.modules\n"
        "kmeans_c.views.plot.plot(kmeans_c.Palette([[0, 0, 0]]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_arguments_of_the_wrong_kind(result):
    with pytest.raises(ValueError, match="space: expected one of rgb, oklab, got 'lab'"):
        plot(result, space="lab")
    with pytest.raises(TypeError, match="source: expected a Palette, a Quantized or a Histogram"):
        plot(result.palette)


def test_without_matplotlib_the_extra_is_named(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'kmeans-c\[plot\]'"):
        plot(result)
    with pytest.raises(ImportError, match=r"pip install 'kmeans-c\[plot\]'"):
        plot_sweep([{"K": 2, "mse": 1}])

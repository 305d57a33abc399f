"""The page says what is so, needs nothing but itself, and works in a browser."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image

import kmeans_c
from kmeans_c.views.report import report, write_report

VOID = {"meta", "img", "input"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and their text; complains of open ones."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        attributes = {name.strip("_").replace("_", "-"): v for name, v in attributes.items()}
        return [
            element
            for element in self.elements
            if element["tag"] == tag
            and all(element.get(name) == value for name, value in attributes.items())
        ]

    def pictures(self):
        """The pictures' pixels, the first before the others."""
        found = []
        for image in self.all("img"):
            start, data = image["src"].split(",")
            assert start == "data:image/png;base64"
            with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
                found.append(np.asarray(picture.convert("RGBA")))
        return found


@pytest.fixture
def photo():
    return hostile.photo(60, 90)


@pytest.fixture
def file(tmp_path, photo):
    path = tmp_path / "photo.png"
    path.write_bytes(hostile.file_of(photo, "png"))
    return path


def test_the_pictures_are_what_they_are_called(photo):
    page = Page(report(photo, [2, 16]))
    before, *after = page.pictures()
    assert np.array_equal(before[..., :3], photo)
    assert [image.get("data-k") for image in page.all("img")] == [None, "2", "16"]
    for K, picture in zip([2, 16], after, strict=True):
        assert np.array_equal(picture[..., :3], kmeans_c.quantize(photo, K).to_array())


def test_the_figures_are_the_results(file, photo):
    page = Page(report(file, [16]))
    result = kmeans_c.quantize(photo, 16)
    data = io.BytesIO()
    result.save(data, "png")
    size = len(data.getvalue())
    assert [cell["text"] for cell in page.all("td")] == [
        "16", f"{size:,}", f"{8 * size / 5400:.2f}", f"{result.mse:.2f}", f"{result.psnr:.1f} dB",
        f"{100 * size / file.stat().st_size:.0f} %",
    ]  # fmt: skip
    assert len(page.all("th", scope="col")) == len(page.all("td")) + 1
    (facts,) = [p["text"] for p in page.all("p") if "pixels," in p["text"]]
    assert facts.startswith("90 \N{MULTIPLICATION SIGN} 60 pixels, ")
    assert facts.endswith(f"{file.stat().st_size:,} bytes as PNG")
    codes = [code["text"] for code in page.all("code")]
    assert codes == ["#" + bytes(color).hex() for color in result.palette.tolist()]
    percents = [float(b["text"].split()[0].strip("<")) for b in page.all("b")]
    assert abs(sum(percents) - 100) < 1


def test_numbers_of_colours_in_order_and_once(photo):
    page = Page(report(photo, [64, 4, 4, 16]))
    values = [choice["value"] for choice in page.all("input", name="k")]
    assert values == ["4", "16", "64"]
    assert [c["value"] for c in page.all("input", name="k") if "checked" in c] == ["16"]
    page = Page(report(photo, iter((8, 32))))
    assert [c["value"] for c in page.all("input", name="k") if "checked" in c] == ["8"]


def test_options_are_quantize_s(photo):
    assert report(photo, [4], ITERS=0) != report(photo, [4])
    palette = [(0, 0, 0), (255, 255, 255)]
    assert [c["text"] for c in Page(report(photo, [2], palette=palette)).all("code")] == [
        "#000000", "#ffffff",
    ]  # fmt: skip


def test_the_same_page_every_time(file):
    assert report(file, [4, 16], n_threads=1) == report(file, [4, 16], n_threads=2)


def test_the_page_asks_nothing_of_anybody(file):
    text = report(file, [4])
    assert "default-src 'none'" in text
    text = re.sub(r"base64,[^\"]*", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|<link|<iframe|srcset|fetch\(|import\(", text)
    for element in Page(text).elements:
        assert not {"href", "action", "data", "poster"} & set(element)


def test_names_are_text(tmp_path, photo):
    path = tmp_path / "<img src=x> & $title \u00e9.png"
    path.write_bytes(hostile.file_of(photo, "png"))
    page = Page(report(path, [2]))
    assert page.all("h1")[0]["text"] == path.name
    assert len(page.all("img")) == 2
    assert Page(report(photo, [2], title="</title><script>")).all("h1")[0]["text"] == (
        "</title><script>"
    )
    report(photo, [2], title="\udcff").encode()  # a byte of a file's name that is no text


def test_transparent_pictures(tmp_path):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:10] = (200, 16, 46, 255)
    pixels[15:] = (1, 2, 3, 128)
    page = Page(report(pixels, [4]))
    assert [code["text"] for code in page.all("code")] == ["#00000000", "#01020380", "#c8102eff"]
    before, after = page.pictures()
    assert np.array_equal(before, pixels)
    assert np.array_equal(after, pixels)
    assert "lossless" in [cell["text"] for cell in page.all("td")]


def test_large_pictures_are_thinned_out():
    photo = hostile.photo(50, 170)
    page = Page(report(photo, [4], side=60))
    before, after = page.pictures()
    assert np.array_equal(before[..., :3], photo[::3, ::3])
    result = kmeans_c.quantize(photo, 4)
    assert np.array_equal(after[..., :3], result.to_array()[::3, ::3])
    assert "thinned out to 57 \N{MULTIPLICATION SIGN} 17 pixels" in page.all("p")[-1]["text"]
    assert f"{result.mse:.2f}" in [cell["text"] for cell in page.all("td")]


def test_icons_are_shown_larger():
    page = Page(report(hostile.photo(16, 16), [4]))
    for image in page.all("img"):
        assert (image["width"], image["height"], image["class"]) == ("400", "400", "zoomed")


def test_a_grey_picture_and_a_single_pixel():
    assert len(Page(report(np.zeros((1, 1), np.uint8))).pictures()) == 5
    assert len(Page(report(hostile.photo()[:, :, 0], [4])).pictures()) == 2


def test_accessible(file):
    page = Page(report(file))
    assert page.all("html", lang="en")
    assert all(image["alt"] for image in page.all("img"))
    (slider,) = page.all("input", type="range")
    assert slider["aria-label"]
    assert page.all("label", **{"for": slider["id"]})
    assert len(page.all("legend")) == 1
    assert all("scope" in head for head in page.all("th"))
    assert {section["data-k"] for section in page.all("section")} == {"4", "16", "64", "256"}


def test_a_page_is_written_whole_and_not_over_another(file, tmp_path):
    path = tmp_path / "report.html"
    write_report(file, path, [4], title="x")
    assert path.read_text("utf-8") == report(file, [4], title="x")
    with pytest.raises(FileExistsError):
        write_report(file, path, [8])
    write_report(file, path, [8], overwrite=True)
    assert path.read_text("utf-8") == report(file, [8])


def test_impossible_arguments(photo, tmp_path):
    with pytest.raises(ValueError, match=r"Ks: expected 1\.\.256, got 257"):
        report(photo, [257])
    with pytest.raises(TypeError, match="Ks: expected an integer, got str"):
        report(photo, "16")
    with pytest.raises(ValueError, match="Ks: expected at least one"):
        report(photo, [])
    with pytest.raises(ValueError, match="side: expected at least 1"):
        report(photo, side=0)
    with pytest.raises(TypeError, match="image: expected"):
        report(3)
    with pytest.raises(FileNotFoundError):
        report(tmp_path / "nothing.png")
    (tmp_path / "photo.png").write_bytes(hostile.file_of(photo, "png"))
    with pytest.raises(OSError, match="limit is 5399"):
        report(tmp_path / "photo.png", max_pixels=5399)


# In a browser


def dumped(browser, page, *switches):
    """The page after its scripts ran, as HTML."""
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", *switches,
         "--window-size=1000,800", f"--user-data-dir={page.parent / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A Chromium that works here: some systems have a command that only says how to get one."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    page = tmp_path_factory.mktemp("browser") / "page.html"
    page.write_text("<p id=p></p><script>p.textContent = 6 * 7</script>", "utf-8")
    if browser is None or "42" not in dumped(browser, page):
        pytest.skip("no Chromium that works here")
    return browser


@pytest.fixture
def in_browser(chromium):
    def run(path, *, script="", switches=()):
        """The page's elements after its script ran, and then one of ours."""
        text = path.read_text("utf-8").replace("</body>", f"<script>{script}</script></body>")
        page = path.with_name("driven.html")
        page.write_text(text, "utf-8")
        return Page(dumped(chromium, page, *switches).removeprefix("<!DOCTYPE html>"))

    return run


@pytest.fixture
def written(file, tmp_path):
    path = tmp_path / "report.html"
    write_report(file, path, [4, 16, 64])
    return path


def shown(page):
    """Which of the parts that belong to a number of colours are seen."""
    parts = [part for part in page.elements if "data-k" in part]
    return sorted({part["data-k"] for part in parts if "hidden" not in part}, key=int)


def test_the_script_shows_one_result_and_half_of_the_picture(written, in_browser):
    page = in_browser(written)
    assert page.all("html", class_="script")
    assert shown(page) == ["16"]
    assert [row["data-row"] for row in page.all("tr", class_="current")] == ["16"]
    (slider,) = page.all("input", type="range")
    assert slider["aria-valuetext"] == "50 % before, 50 % after"
    assert "--cut: 50%" in page.all("div", id="stage")[0]["style"]


def test_choosing_and_sliding(written, in_browser):
    page = in_browser(
        written,
        script="""
        document.querySelector("input[value='64']").click();
        const range = document.getElementById("cut");
        range.value = 30;
        range.dispatchEvent(new Event("input"));
        """,
    )
    assert shown(page) == ["64"]
    assert [row["data-row"] for row in page.all("tr", class_="current")] == ["64"]
    assert "--cut: 30%" in page.all("div", id="stage")[0]["style"]
    assert page.all("input", type="range")[0]["aria-valuetext"] == "30 % before, 70 % after"


def test_the_picture_can_be_dragged_and_fits(written, in_browser):
    page = in_browser(
        written,
        script="""
        const area = document.getElementById("stage");
        const box = area.getBoundingClientRect();
        area.setPointerCapture = () => {};
        area.dispatchEvent(new PointerEvent("pointerdown", {
            button: 0, clientX: box.left + box.width / 4, clientY: box.top + 5, bubbles: true}));
        const sizes = [...area.querySelectorAll("img:not([hidden])")].map(image => {
            const box = image.getBoundingClientRect();
            return [box.x, box.y, box.width, box.height, image.naturalWidth].join();
        });
        document.title = [...new Set(sizes)].length + " " + sizes[0];
        """,
    )
    assert "--cut: 25%" in page.all("div", id="stage")[0]["style"]
    # Both pictures, decoded, lie in the same place.
    count, numbers = page.all("title")[0]["text"].split(" ")
    assert count == "1"
    assert [float(n) for n in numbers.split(",")][2:] == [360, 240, 90]


def test_nothing_is_refused_or_thrown(written, in_browser):
    script = 'document.title = "errors: " + (window.errors || []).join();'
    text = written.read_text("utf-8").replace(
        "<style>",
        "<script>window.errors = [];"
        "addEventListener('error', event => errors.push(event.message));"
        "addEventListener('securitypolicyviolation', event => errors.push(event.blockedURI));"
        "</script><style>",
        1,
    )
    written.write_text(text, "utf-8")
    assert in_browser(written, script=script).all("title")[0]["text"] == "errors: "


def test_dark_and_light(written, in_browser):
    script = "document.title = getComputedStyle(document.body).backgroundColor;"
    colors = [
        in_browser(written, script=script, switches=[f"--blink-settings=preferredColorScheme={n}"])
        .all("title")[0]["text"]
        for n in (0, 1)
    ]  # fmt: skip
    assert colors == ["rgb(23, 23, 27)", "rgb(251, 251, 253)"]


def test_without_a_script_everything_is_seen(written, in_browser):
    text = written.read_text("utf-8")
    start = text.index("<script>")
    written.write_text(text[:start] + text[text.index("</script>", start) + 9 :], "utf-8")
    page = in_browser(written)
    assert shown(page) == ["4", "16", "64"]
    assert not page.all("html", class_="script")


def test_the_template_is_part_of_the_package():
    assert Path(kmeans_c.__file__).with_name("views").joinpath("report.html").is_file()

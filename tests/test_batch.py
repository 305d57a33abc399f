"""Many files: which goes where, that none is lost, and what happens to workers that die."""

import io
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image

from kmeans_c import Palette, cli, sweep
from kmeans_c.command import batch, workers
from kmeans_c.command.plan import Job
from kmeans_c.images import read_image

ROOT = Path(cli.__file__).parents[1]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
PNG = hostile.file_of(hostile.photo(), "png")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The current folder, with a folder `in` of images and other things."""
    for name in ("in/a.png", "in/b.png", "in/x/a.png", "in/x/y/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(tree, capfd):
    """Run the program in this process: its exit code and the lines on both streams."""

    def call(*arguments):
        try:
            code = cli.main(["-t1", *map(os.fspath, arguments)])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


def command(*arguments):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from kmeans_c.__main__ import main\n"
        "sys.argv[1:1] = ['-t1']\n"
        "if __name__ == '__main__': sys.exit(main())"
    )
    return [sys.executable, "-c", code, *map(os.fspath, arguments)]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def colors(path):
    with Image.open(path) as image:
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def palette_of(path):
    pixels = read_image(path).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    return set(map(tuple, pixels.reshape(-1, pixels.shape[2])[:, :3].tolist()))


class TestFolders:
    def test_beside_the_inputs(self, tree, run):
        code, out, err = run("-r", "in")
        assert (code, err, len(out)) == (0, [], 5)
        done = ["a", "a_compressed", "b", "b_compressed", "x/a", "x/a_compressed"]
        assert files(tree / "in") == [
            *(f"{name}.png" for name in done),
            "x/y/c.png",
            "x/y/c_compressed.png",
        ]

    def test_mirrored(self, tree, run):
        assert run("-r", "in", "-d", "out")[0] == 0
        assert files(tree / "out") == files(tree / "in")
        assert colors("out/x/y/c.png") == 16

    def test_mirrored_in_another_format(self, tree, run):
        assert run("-r", "in", "-d", "out", "-F", "webp", "--suffix=-k")[0] == 0
        assert files(tree / "out") == ["a-k.webp", "b-k.webp", "x/a-k.webp", "x/y/c-k.webp"]

    def test_again_does_nothing_twice(self, tree, run):
        run("-r", "in")
        before = files(tree)
        code, out, err = run("-r", "in", "-f", "-v")
        assert (code, err) == (0, [])
        assert files(tree) == before
        skipped = [line for line in out if line.endswith("skipped: an output of this program")]
        assert len(skipped) == 4
        assert "4 skipped" in out[-1]

    def test_an_output_named_beside_its_input(self, run):
        run("in/a.png")
        code, out, _ = run("in/a.png", "in/a_compressed.png", "in/b.png", "-f")
        assert code == 0
        assert [line.split(" ->")[0] for line in out[:-1]] == ["in/a.png", "in/b.png"]
        assert "1 skipped" in out[-1]

    def test_output_inside_of_the_input(self, tree, run):
        for _ in range(2):
            assert run("-r", ".", "-d", "in/out", "-f")[0] == 0
        assert files(tree / "in/out") == ["in/a.png", "in/b.png", "in/x/a.png", "in/x/y/c.png"]

    def test_output_is_the_input(self, run):
        code, _, err = run("-r", "in", "-d", "in")
        assert (code, err) == (
            2,
            ["kmeans-c: in/a.png: is the input itself (-f/--force replaces it)"],
        )
        assert colors("in/a.png") > 16

    def test_in_place(self, tree, run):
        (tree / "in/scan.ppm").write_bytes(hostile.file_of(hostile.photo(), "ppm"))
        before = files(tree)
        code, out, err = run("-r", "--in-place", "in", "-v")
        assert (code, err) == (0, [])
        assert "in/scan.ppm: skipped: cannot be written in place" in out
        assert files(tree) == before
        assert {colors(f"in/{name}.png") for name in ("a", "b", "x/a", "x/y/c")} == {16}

    def test_frames_are_not_lost_in_place(self, tree, run):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        data = hostile.file_of(frames[0], "gif", save_all=True, append_images=frames[1:])
        (tree / "a.jpg").write_bytes(data)  # so named, one frame would be written
        for options in (["--in-place"], ["--in-place", "-n"]):
            code, _, err = run(*options, "a.jpg")
            assert (code, len(err)) == (1, 1)
            assert ("would lose 2 frames" if "-n" not in options else "has 3 frames") in err[0]
        assert (tree / "a.jpg").read_bytes() == data

    def test_without_r_a_folder_fails(self, run):
        code, _, err = run("in", "in/a.png")
        assert code == 1
        assert err == ["kmeans-c: in: Is a directory (-r/--recursive goes through it)"]

    def test_empty(self, tree, run):
        (tree / "empty").mkdir()
        assert run("-r", "empty") == (0, [], [])

    @linux
    def test_junk(self, tree, run):
        (tree / "in/notes.txt").write_bytes(b"?")
        (tree / "in/.hidden.png").write_bytes(PNG)
        (tree / "in/.kmeans-c-0123456789abcdef.tmp").write_bytes(PNG)
        (tree / "in/.git").mkdir()
        (tree / "in/.git/x.png").write_bytes(PNG)
        (tree / "in/broken.png").write_bytes(PNG[:99])
        os.mkfifo(tree / "in/pipe.png")
        (tree / "outside.png").write_bytes(PNG)
        (tree / "in/link.png").symlink_to(tree / "outside.png")
        (tree / "in/dangling.png").symlink_to("nowhere")
        (tree / "in/loop").symlink_to(tree / "in")
        (tree / "in/out-of-tree").symlink_to(tree)
        code, out, err = run("-r", "in", "-d", "out", "-v")
        assert code == 1
        assert len(err) == 1
        assert err[0].startswith("kmeans-c: in/broken.png: ")
        assert files(tree / "out") == ["a.png", "b.png", "x/a.png", "x/y/c.png"]
        skipped = dict(line.split(": skipped: ") for line in out if ": skipped: " in line)
        assert skipped == {
            "in/notes.txt": "not an image by its name",
            "in/.hidden.png": "hidden",
            "in/.kmeans-c-0123456789abcdef.tmp": "hidden",
            "in/.git": "hidden",
            "in/pipe.png": "not a regular file",
            **dict.fromkeys(
                ("in/link.png", "in/dangling.png", "in/loop", "in/out-of-tree"), "a link"
            ),
        }
        assert out[-1].startswith("4 files: ")
        assert "1 failed, 9 skipped" in out[-1]

    @linux
    def test_a_link_in_the_output_tree_is_not_followed(self, tree, run):
        (tree / "elsewhere").mkdir()
        (tree / "out").mkdir()
        (tree / "out/x").symlink_to(tree / "elsewhere")
        code, _, err = run("-r", "in", "-d", "out", "-f")
        assert code == 1
        assert [line.split(": ")[1] for line in err] == ["in/x/a.png", "in/x/y/c.png"]
        assert files(tree / "elsewhere") == []
        assert files(tree / "out") == ["a.png", "b.png"]

    @linux
    def test_deep(self, tree, run):
        deep = tree / "/".join(["in", *(200 * ["d"])])
        deep.mkdir(parents=True)
        (deep / "z.png").write_bytes(PNG)
        assert run("-rq", "in", "-d", "out") == (0, [], [])
        assert files(tree / "out") == files(tree / "in")

    @linux
    @pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may read everything")
    def test_unreadable_folder(self, tree, run):
        (tree / "in/x").chmod(0)
        try:
            code, _, err = run("-r", "in", "-d", "out")
        finally:
            (tree / "in/x").chmod(0o755)
        assert (code, err) == (1, ["kmeans-c: in/x: Permission denied"])
        assert files(tree / "out") == ["a.png", "b.png"]

    def test_folder_that_vanishes(self, tree, run, monkeypatch):
        scan = os.scandir

        def scandir(path):
            if os.fspath(path) == str(Path("in/x")):
                raise PermissionError(13, "Permission denied", path)
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)
        code, out, err = run("-r", "in", "-d", "out")
        assert (code, err) == (1, ["kmeans-c: in/x: Permission denied"])
        assert len(out) == 3
        assert files(tree / "out") == ["a.png", "b.png"]


class TestCollisions:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["in/a.png", "in/a.png"],
            ["in/a.png", "in/../in/a.png", "-F", "webp"],
        ],
    )
    def test_refused_before_anything_is_written(self, tree, run, arguments):
        (tree / "in/a.jpg").write_bytes(hostile.file_of(hostile.photo(), "jpeg"))
        (tree / "in/a.webp").write_bytes(hostile.file_of(hostile.photo(), "webp"))
        before = files(tree)
        code, out, err = run(*arguments)
        assert (code, out, len(err)) == (2, [], 1)
        assert "would both be written to" in err[0]
        assert files(tree) == before
        assert not (tree / "out").exists()


class TestOptions:
    def test_dry_run_writes_nothing(self, tree, run):
        before = files(tree)
        _, real, _ = run("-r", "in", "-d", "out", "--json")
        code, dry, err = run("-r", "in", "-d", "other", "-n", "--json")
        assert (code, err) == (0, [])
        for a, b in zip(map(json.loads, real[:-1]), map(json.loads, dry[:-1]), strict=True):
            assert b["output"] == a["output"].replace("out", "other", 1)
            assert b["bytes_after"] == a["bytes_after"]
        assert not (tree / "other").exists()
        code, out, _ = run("in/a.png", "--preview=p.png", "--save-palette=p.hex", "-n")
        assert out[0].endswith("; dry run, nothing is written")
        assert set(files(tree)) == {*before, *(f"out/{name[3:]}" for name in before)}

    def test_dry_run_sees_what_is_there(self, run):
        run("in/a.png")
        code, out, err = run("in/a.png", "-n")
        assert (code, out, len(err)) == (1, [], 1)
        assert "File exists" in err[0]

    def test_preserve(self, run):
        os.utime("in/a.png", ns=(10**18, 10**18 + 7))
        Path("in/a.png").chmod(0o640)
        run("in/a.png", "-p")
        state = Path("in/a_compressed.png").stat()
        assert state.st_mtime_ns == Path("in/a.png").stat().st_mtime_ns
        assert os.name == "nt" or stat.S_IMODE(state.st_mode) == 0o640
        run("in/a.png", "-p", "--in-place")
        assert colors("in/a.png") == 16
        assert Path("in/a.png").stat().st_mtime_ns == state.st_mtime_ns
        run("in/b.png")
        assert Path("in/b_compressed.png").stat().st_mtime_ns != state.st_mtime_ns

    def test_auto(self, run):
        code, out, _ = run("in/a.png", "-F", "auto", "--json")
        done = json.loads(out[0])
        assert code == 0
        assert done["output"] == f"in/a_compressed.{done['format']}"
        assert read_image(done["output"]).format == done["format"]
        # A file that nothing makes smaller stays what it is, under its own ending.
        Path("in/b.jpg").write_bytes(hostile.file_of(hostile.photo(), "jpeg", quality=5))
        code, out, _ = run("in/b.jpg", "-F", "auto", "-k256")
        assert Path("in/b_compressed.jpg").read_bytes() == Path("in/b.jpg").read_bytes()

    def test_strict(self, run):
        run("in/a.png")
        assert run("in/a.png", "in/b.png", "--strict")[0] == 15
        assert run("in/a.png", "in/nothing.png", "--strict")[0] == 1
        assert run("in/a_compressed.png", "-O0", "--strict", "-k256")[0] in (0, 98)

    def test_preview(self, run):
        assert run("in/a.png", "--preview", "see.png")[0] == 0
        with Image.open("see.png") as image:
            assert image.width > 2 * 60
        code, _, err = run("in/b.png", "--preview", "see.png")
        assert (code, len(err)) == (1, 1)
        assert not Path("in/b_compressed.png").exists()

    def test_importance(self, run):
        mask = np.zeros((40, 60), np.uint8)
        mask[:, :20] = 255
        Path("mask.png").write_bytes(hostile.file_of(mask, "png"))
        assert run("in/a.png", "--importance", "mask.png", "-k4")[0] == 0
        run("in/b.png", "-k4")
        errors = []
        for name in ("a", "b"):
            with Image.open(f"in/{name}_compressed.png") as image:
                shown = np.asarray(image.convert("RGB")).astype(float)
            errors.append(((shown - hostile.photo()) ** 2)[:, :20].sum())
        assert errors[0] < errors[1]
        code, _, err = run("in/x/a.png", "--importance", "in/a.png")
        assert code == 1
        assert "expected a grey image" in err[0]

    def test_metadata(self, run):
        exif = Image.Exif()
        exif[0x013B], exif[0x0110] = "Ada", "Camera"
        data = hostile.file_of(hostile.photo(), "png", exif=exif, dpi=(300, 300))
        Path("m.png").write_bytes(data)
        for policy, artist, model, dpi in (
            ("none", None, None, None),
            ("safe", "Ada", None, 300),
            ("keep", "Ada", "Camera", 300),
        ):
            run("m.png", "-f", "--metadata", policy)
            with Image.open("m_compressed.png") as image:
                assert image.mode == "P"
                assert (image.getexif().get(0x013B), image.getexif().get(0x0110)) == (
                    artist,
                    model,
                )
                found = image.info.get("dpi")
                assert found is None if dpi is None else found[0] == pytest.approx(dpi, abs=0.1)
        run("m.png", "-f", "--strip")
        with Image.open("m_compressed.png") as image:
            assert not image.getexif()

    def test_palette_and_keep(self, run):
        run("in/a.png", "--palette", "pico-8")
        allowed = {tuple(color) for color in Palette.named("pico-8").colors.tolist()}
        assert palette_of("in/a_compressed.png") <= allowed
        Path("p.hex").write_text("#000000\n#ff8800\n")
        run("in/b.png", "--palette", "p.hex")
        assert palette_of("in/b_compressed.png") <= {(0, 0, 0), (255, 136, 0)}
        run("in/x/a.png", "--keep", "#010203", "--save-palette", "kept.json")
        _, out, _ = run("in/x/y/c.png", "--save-palette", "found.hex", "--json")
        assert len(Palette.read("found.hex")) == 16
        assert [f"#{bytes(color).hex()}" for color in Palette.read("found.hex").colors] == (
            json.loads(out[0])["palette"]
        )

    @pytest.mark.parametrize("n", [1, 2])
    def test_shared_palette(self, tree, run, n):
        grey = hostile.file_of(hostile.photo(seed=5)[:, :, 0], "png")
        clear = np.dstack([hostile.photo(seed=6), hostile.photo(seed=7)[:, :, 0]])
        Path("in/grey.png").write_bytes(grey)
        Path("in/clear.png").write_bytes(hostile.file_of(clear, "png"))
        Path("in/broken.png").write_bytes(PNG[:70])
        code, out, err = run(
            "-r", "in", "-d", "out", "--shared-palette", "-k8", "--save-palette=p.hex", f"-j{n}"
        )
        assert (code, len(err), len(out)) == (1, 1, 7)
        palette = Palette.read("p.hex")
        assert len(palette) == 8
        known = {tuple(color)[:3] for color in palette.colors.tolist()}
        for name in files(tree / "out"):
            assert palette_of(f"out/{name}") <= known | {(0, 0, 0)}

    def test_shared_palette_of_nothing(self, run):
        Path("a.png").write_bytes(b"?")
        code, _, err = run("a.png", "--shared-palette", "--save-palette=p.hex")
        assert code == 1
        assert err[1] == "kmeans-c: p.hex: there is no palette to save"

    def test_frames(self, run):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        Path("a.gif").write_bytes(
            hostile.file_of(frames[0], "gif", save_all=True, append_images=frames[1:], duration=70)
        )
        assert run("a.gif", "-o", "a.apng", "-k4", "--per-frame", "--allow-larger")[0] == 0
        with Image.open("a.apng") as image:
            assert image.n_frames == 3
        code, _, err = run("a.gif", "-F", "webp", "--dither=fs")
        assert (code, err) == (
            1,
            ["kmeans-c: a.gif: dither: is for still images; the input has several frames"],
        )


class TestReport:
    def test_page(self, run):
        assert run("report", "in/a.png", "-k", "2,4")[0] != 0  # -t is no word of it

    @pytest.mark.usefixtures("tree")
    def test_in_this_process(self, capfd):
        assert cli.main(["report", "in/a.png", "-k", "2,4"]) == 0
        page = Path("in/a_report.html").read_text()
        assert 'value="2"' in page
        assert 'value="16"' not in page
        assert cli.main(["report", "in/a.png"]) == 1
        assert cli.main(["report", "in/nothing.png"]) == 1
        assert cli.main(["report", "in/a.png", "-o", "in/a.png", "-f"]) == 2
        assert cli.main(["report", "in/a.png", "-k", "0"]) == 2
        errors = capfd.readouterr().err.splitlines()
        assert [line.split(": ")[1] for line in errors[:2]] == ["in/a.png", "in/nothing.png"]


class TestSweep:
    @pytest.mark.usefixtures("tree")
    def test_table(self, capfd):
        assert cli.main(["sweep", "in/a.png", "-k", "2,4"]) == 0
        head, *rows = capfd.readouterr().out.splitlines()
        assert head.split() == ["K", "MSE", "PSNR", "dE", "bytes"]
        assert [int(row.split()[0]) for row in rows] == [2, 4]

    @pytest.mark.usefixtures("tree")
    def test_json_is_what_sweep_gives(self, capfd):
        assert cli.main(["sweep", "in/a.png", "-k", "3", "--json", "--encode"]) == 0
        (line,) = capfd.readouterr().out.splitlines()
        (row,) = sweep("in/a.png", [3], sizes="png")
        assert json.loads(line) == row.to_dict()

    @pytest.mark.usefixtures("tree")
    def test_wrong_words(self, capfd):
        assert cli.main(["sweep", "in/nothing.png"]) == 1
        assert cli.main(["sweep", "in/a.png", "-k", "0"]) == 2
        assert len(capfd.readouterr().err.splitlines()) == 2

    @pytest.mark.usefixtures("tree")
    def test_plot(self):
        pytest.importorskip("matplotlib", reason="the extra plot")
        assert cli.main(["sweep", "in/a.png", "-k", "2,4,8", "--plot", "plot.png"]) == 0
        with Image.open("plot.png") as image:
            assert image.format == "PNG"
        assert cli.main(["sweep", "in/a.png", "-k", "2", "--plot", "plot.png"]) == 1


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
    def test_script(self, run, shell):
        pytest.importorskip("shtab", reason="the extra completion")
        code, out, err = run("--completion", shell)
        assert (code, err) == (0, [])
        assert any("--output-dir" in line for line in out)

    def test_without_shtab(self, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "shtab", None)
        code, out, err = run("--completion", "bash")
        assert (code, out) == (2, [])
        assert "pip install kmeans-c[completion]" in err[0]


def double(number):
    return 2 * number


def sometimes_die(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


class TestWorkers:
    @pytest.mark.parametrize(("jobs", "n"), [(0, 1), (5, 1), (0, 2), (1, 2), (5, 2), (50, 3)])
    def test_each_job_once(self, jobs, n):
        results = list(workers.run(double, iter(range(jobs)), n))
        assert sorted(results) == [(number, 2 * number) for number in range(jobs)]

    @linux
    def test_a_worker_that_dies_loses_its_job_only(self):
        results = dict(workers.run(sometimes_die, range(12), 2))
        assert results.pop(3) == workers.Lost(-signal.SIGKILL)
        assert results == {number: 2 * number for number in range(12) if number != 3}

    def test_jobs_are_taken_as_they_are_needed(self):
        taken = []

        def source():
            for number in range(100):
                taken.append(number)
                yield number

        for done, _ in enumerate(workers.run(double, source(), 2)):
            assert len(taken) <= done + 1 + 2 * workers.AHEAD

    def test_stops_where_the_caller_does(self):
        results = workers.run(double, range(10**9), 2)
        next(results)
        results.close()

    def test_same_files_as_alone(self, tree, run):
        for n in (1, 2):
            code, out, err = run("-r", "in", "-d", f"out{n}", f"-j{n}")
            assert (code, err, len(out)) == (0, [], 5)
        for name in files(tree / "out1"):
            assert (tree / "out1" / name).read_bytes() == (tree / "out2" / name).read_bytes()
        assert files(tree / "out1") == files(tree / "out2") == files(tree / "in")

    def test_failures_come_back(self, run):
        Path("in/a.png").write_bytes(b"?")
        code, out, err = run("-r", "in", "nothing.png", "-j2", "--json")
        assert code == 1
        assert sorted(line.split(": ")[1] for line in err) == ["in/a.png", "nothing.png"]
        assert json.loads(out[-1])["totals"]["done"] == 3

    @linux
    def test_odd_names(self, tree, run):
        odd = [
            b"caf\xe9.png",
            b"new\nline.png",
            b"-o.png",
            b"a b'\".png",
            "\N{SNOWMAN}.png".encode(),
        ]
        for name in odd:
            (tree / "in" / os.fsdecode(name)).write_bytes(PNG)
        code, out, err = run("-r", "in", "-d", "out", "-j2")
        assert (code, err, len(out)) == (0, [], 4 + len(odd) + 1)
        assert files(tree / "out") == files(tree / "in")
        assert any(line.startswith(r"in/new\nline.png -> out/new\nline.png: ") for line in out)

    def test_lost_worker_is_one_line(self, monkeypatch):
        def lose(function, jobs, n):
            return iter([(job, workers.Lost(-9)) for job in jobs])

        monkeypatch.setattr(workers, "run", lose)
        job = Job("a.png", "b.png")
        ((_, failure),) = batch.do_all(batch.Work({}), [job], 2)
        assert failure.reason == "the worker process ended by signal 9; memory may be short"


class TestPipes:
    def pipe(self, *arguments, data=PNG):
        return subprocess.run(command(*arguments), input=data, capture_output=True, check=False)

    def test_through(self):
        done = self.pipe("-")
        assert done.returncode == 0
        assert done.stderr.startswith(b"- -> -: ")
        assert read_image(io.BytesIO(done.stdout)).format == "png"

    @pytest.mark.usefixtures("tree")
    def test_into_a_file_and_out_of_one(self):
        done = self.pipe("-", "-o", "a.png", "-q")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert colors("a.png") == 16
        done = self.pipe("in/b.png", "-o", "-", "-q", "-F", "webp", data=b"")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout[8:12] == b"WEBP"

    def test_something_comes_out_where_nothing_gets_smaller(self):
        data = hostile.file_of(hostile.photo(), "jpeg", quality=5)
        done = self.pipe("-", "-F", "png", "-k256", data=data)
        assert (done.returncode, done.stdout) == (0, data)
        assert b"- -> -: kept as it is, " in done.stderr

    def test_json_goes_to_the_other_stream(self):
        done = self.pipe("-", "--json")
        first, totals = map(json.loads, done.stderr.splitlines())
        assert (first["input"], first["output"]) == ("-", "-")
        assert totals["totals"]["done"] == 1

    @pytest.mark.parametrize("data", [b"", b"?", PNG[:-50]])
    def test_damaged(self, data):
        done = self.pipe("-", data=data)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
        assert done.stderr.startswith(b"kmeans-c: -: ")

    @linux
    def test_reader_leaves(self):
        end, start = os.pipe()
        os.close(end)
        with os.fdopen(start, "wb") as pipe:
            done = subprocess.run(
                command("-", "-q"), input=PNG, stdout=pipe, stderr=subprocess.PIPE, check=False
            )
        assert (done.returncode, done.stderr) == (0, b"")

    @linux
    @pytest.mark.parametrize("closed", ["<&-", ">&-"])
    def test_closed(self, closed):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *command("-")],
            input=PNG,
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1)
        assert b"Traceback" not in done.stderr

    @linux
    def test_full_disk(self):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                command("-"), input=PNG, stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 1
        assert done.stderr == b"kmeans-c: -: standard output: No space left on device\n"


@linux
class TestEnds:
    """Whatever ends the program, each output is the old or the new one, and whole."""

    N = 24

    def start(self, folder, *options):
        old = hostile.file_of(np.zeros((3, 3, 3), np.uint8), "png")
        data = hostile.file_of(hostile.photo(100, 100), "png")
        for number in range(self.N):
            (folder / f"{number}.png").write_bytes(data)
            (folder / f"{number}_compressed.png").write_bytes(old)
        process = subprocess.Popen(
            command("-f", "-k40", "-r", folder, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.readline()
        return process, old

    def check(self, folder, old, *, left=0):
        assert len(list(folder.glob(".*"))) <= left
        done = 0
        for number in range(self.N):
            target = folder / f"{number}_compressed.png"
            new = target.read_bytes() != old
            assert not new or colors(target) == 40
            done += new
        return done

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_of_the_parent(self, tmp_path, sent):
        process, old = self.start(tmp_path, "-j2")
        time.sleep(random.random() * 0.1)
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
        expected = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sent]
        assert process.returncode in (expected, 0)
        if sent != signal.SIGKILL:
            assert err == b""
        self.wait_for_workers(tmp_path)
        self.check(tmp_path, old, left=0)

    def wait_for_workers(self, folder):
        """A killed parent's workers end when they are done with what they are at."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not any(
                os.fsencode(folder) in (process / "cmdline").read_bytes()
                for process in Path("/proc").glob("[0-9]*")
                if (process / "cmdline").exists()
            ):
                break
            time.sleep(0.05)
        before = -1
        while before != (now := len(list(folder.glob(".*")))) or now:
            before = now
            if time.monotonic() > deadline:
                break
            time.sleep(0.3)

    def test_of_all_as_by_a_terminal(self, tmp_path):
        for _ in range(3):
            data = hostile.file_of(hostile.photo(100, 100), "png")
            for number in range(self.N):
                (tmp_path / f"{number}.png").write_bytes(data)
            process = subprocess.Popen(
                command("-f", "-k40", "-j2", "-r", tmp_path),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            time.sleep(0.2 + random.random())
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert process.returncode in (130, 0, -signal.SIGINT)
            if process.returncode == 130:
                assert b"Traceback" not in err
            assert not list(tmp_path.glob(".kmeans-c-*"))

    def test_two_runs_at_once(self, tmp_path):
        first, old = self.start(tmp_path, "-j1")
        second = subprocess.run(
            command("-f", "-k40", "-r", tmp_path), capture_output=True, check=False
        )
        first.communicate(timeout=60)
        assert (first.returncode, second.returncode) == (0, 0)
        assert self.check(tmp_path, old) == self.N

    def test_two_runs_at_once_share_the_work(self, tmp_path):
        data = hostile.file_of(hostile.photo(100, 100), "png")
        for number in range(self.N):
            (tmp_path / f"{number}.png").write_bytes(data)
        words = command("-k40", "-r", tmp_path, "-d", tmp_path / "out")
        runs = [
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        outputs = [run.communicate(timeout=120) for run in runs]
        refused = sum(err.count(b"File exists") for _, err in outputs)
        assert refused == self.N
        assert files(tmp_path / "out") == sorted(f"{number}.png" for number in range(self.N))
        assert {colors(path) for path in (tmp_path / "out").iterdir()} == {40}

    def test_disk_that_is_full(self, tmp_path):
        (tmp_path / "in").mkdir()
        for number in range(4):
            (tmp_path / f"in/{number}.png").write_bytes(
                hostile.file_of(hostile.photo(100, 100), "png")
            )
        import resource

        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (300, 300))
        done = subprocess.run(
            command("-r", tmp_path / "in", "-d", tmp_path / "out", "-F", "png", "-j1"),
            capture_output=True,
            check=False,
            preexec_fn=limit,
        )
        assert done.returncode == 1
        assert done.stderr.count(b"File too large") == 4
        assert files(tmp_path / "out") == []

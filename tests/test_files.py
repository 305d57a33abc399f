"""Files are opened without waiting and replaced as a whole or not at all."""

import contextlib
import errno
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kmeans_c import files
from kmeans_c.files import CHUNK, atomic_write, check_target, safe_open

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

OLD, NEW = b"the old contents", b"something new " * 9


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def temporaries(folder):
    return [name for name in names(folder) if name.startswith(".kmeans-c-")]


def refuse(data):
    return False


def without_import(code, *arguments, **options):
    """Run code in a new process that has only files.py, which starts ten times as fast."""
    load = (
        "import importlib.util as u, os, sys;"
        f"s = u.spec_from_file_location('files', {files.__file__!r});"
        "files = u.module_from_spec(s); sys.modules['files'] = files; s.loader.exec_module(files)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", load + code, *map(os.fspath, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


class TestSafeOpen:
    def test_reads_a_file(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with safe_open(tmp_path / "a") as file:
            assert file.read() == OLD

    @posix
    @pytest.mark.parametrize("name", ["name with spaces", "-f", "ünï\N{GRINNING FACE}", "a\nb"])
    def test_reads_any_name(self, tmp_path, name):
        (tmp_path / name).write_bytes(OLD)
        with safe_open(os.fspath(tmp_path / name)) as file:
            assert file.read() == OLD

    @linux
    def test_reads_a_name_that_is_not_utf8(self, tmp_path):
        name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
        Path(name).write_bytes(OLD)
        with safe_open(name) as file:
            assert file.read() == OLD

    @posix
    def test_follows_a_link_to_a_file(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "b").symlink_to("a")
        with safe_open(tmp_path / "b") as file:
            assert file.read() == OLD

    def test_refuses_a_folder(self, tmp_path):
        with pytest.raises(IsADirectoryError):
            safe_open(tmp_path)

    def test_says_that_a_file_is_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            safe_open(tmp_path / "a")

    @posix
    def test_ends_a_circle_of_links(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            safe_open(tmp_path / "a")

    @posix
    def test_neither_waits_for_a_fifo_nor_opens_it(self, tmp_path):
        os.mkfifo(tmp_path / "a")
        start = time.monotonic()
        with pytest.raises(OSError, match="Not a regular file but a FIFO"):
            safe_open(tmp_path / "a")
        assert time.monotonic() - start < 1

    @posix
    def test_refuses_a_socket(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # the name of a socket must be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("a")
            with pytest.raises(OSError, match="a socket"):
                safe_open("a")

    @linux
    @pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"])
    def test_refuses_a_device(self, device):
        if not Path(device).exists():
            pytest.skip(f"no {device}")
        with pytest.raises(OSError, match="a device"):
            safe_open(device)

    @linux
    def test_refuses_what_became_a_fifo_meanwhile(self, tmp_path, monkeypatch):
        regular = Path(files.__file__).stat()
        os.mkfifo(tmp_path / "a")
        monkeypatch.setattr(Path, "stat", lambda _: regular)
        before = descriptors()
        with pytest.raises(OSError, match="a FIFO"):
            safe_open(tmp_path / "a")
        assert descriptors() == before

    @linux
    def test_leaves_no_descriptor_to_child_processes(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with safe_open(tmp_path / "a") as file:
            assert not os.get_inheritable(file.fileno())


class TestCheckTarget:
    def test_nothing_is_there(self, tmp_path):
        assert check_target(tmp_path / "a") is None

    def test_something_is_there(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with pytest.raises(FileExistsError):
            check_target(tmp_path / "a")
        assert check_target(tmp_path / "a", overwrite=True).st_size == len(OLD)

    def test_folder_is_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError) as caught:
            check_target(tmp_path / "nowhere" / "a")
        assert caught.value.filename == str(tmp_path / "nowhere")

    def test_folder_is_a_file(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with pytest.raises(NotADirectoryError):
            check_target(tmp_path / "a" / "b")

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_folder_is_there(self, tmp_path, overwrite):
        with pytest.raises(IsADirectoryError):
            check_target(tmp_path, overwrite=overwrite)

    @posix
    @pytest.mark.parametrize("where", ["a", "nowhere"])
    def test_link_is_never_followed(self, tmp_path, where):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "b").symlink_to(where)
        with pytest.raises(FileExistsError):
            check_target(tmp_path / "b")
        with pytest.raises(OSError, match="a symbolic link"):
            atomic_write(tmp_path / "b", NEW, overwrite=True)
        assert (tmp_path / "a").read_bytes() == OLD
        assert (tmp_path / "b").is_symlink()

    @linux
    def test_device_is_never_replaced(self):
        with pytest.raises(OSError, match="a device"):
            atomic_write("/dev/null", NEW, overwrite=True)
        assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)

    @posix
    def test_fifo_is_never_replaced(self, tmp_path):
        os.mkfifo(tmp_path / "a")
        with pytest.raises(OSError, match="a FIFO"):
            atomic_write(tmp_path / "a", NEW, overwrite=True)


class TestAtomicWrite:
    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 1])
    def test_writes_everything(self, tmp_path, size, overwrite):
        data = random.Random(size).randbytes(size)
        atomic_write(tmp_path / "a", data, overwrite=overwrite)
        assert (tmp_path / "a").read_bytes() == data
        assert names(tmp_path) == ["a"]

    def test_writes_a_memoryview(self, tmp_path):
        atomic_write(tmp_path / "a", memoryview(b"abcdef")[1:4])
        assert (tmp_path / "a").read_bytes() == b"bcd"

    def test_replaces_only_when_asked(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with pytest.raises(FileExistsError):
            atomic_write(tmp_path / "a", NEW)
        assert (tmp_path / "a").read_bytes() == OLD
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert (tmp_path / "a").read_bytes() == NEW
        assert names(tmp_path) == ["a"]

    def test_relative_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        atomic_write("a", NEW)
        atomic_write("./b", NEW)
        assert names(tmp_path) == ["a", "b"]

    @posix
    def test_longest_name(self, tmp_path):
        atomic_write(tmp_path / ("x" * 255), NEW)
        assert names(tmp_path) == ["x" * 255]
        with pytest.raises(OSError, match=os.strerror(errno.ENAMETOOLONG)):
            atomic_write(tmp_path / ("x" * 256), NEW)

    @posix
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
    def test_new_file_follows_the_umask(self, tmp_path, mask):
        before = os.umask(mask)
        try:
            atomic_write(tmp_path / "a", NEW)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask

    @posix
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o755])
    def test_replaced_file_keeps_its_mode(self, tmp_path, mode):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "a").chmod(mode)
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode

    @posix
    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_replaced_file_keeps_its_owner(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "a").chmod(0o640)
        os.chown(tmp_path / "a", 65534, 65533)
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        found = (tmp_path / "a").stat()
        assert (found.st_uid, found.st_gid) == (65534, 65533)
        assert stat.S_IMODE(found.st_mode) == 0o640

    @posix
    def test_copy_of_a_private_file_is_private_from_the_start(self, tmp_path, monkeypatch):
        (tmp_path / "a").write_bytes(OLD)
        (tmp_path / "a").chmod(0o640)
        seen = []
        write = os.write

        def watch(descriptor, data):
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
            return write(descriptor, data)

        monkeypatch.setattr(os, "write", watch)
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert seen == [0o600]

    @posix
    def test_other_hard_links_keep_the_old_contents(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        os.link(tmp_path / "a", tmp_path / "b")
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert (tmp_path / "a").read_bytes() == NEW
        assert (tmp_path / "b").read_bytes() == OLD

    def test_other_temporaries_are_left_alone(self, tmp_path):
        for name in ["a.tmp", ".a.tmp", "a~", ".kmeans-c-0.tmp"]:
            (tmp_path / name).write_bytes(OLD)
        atomic_write(tmp_path / "a", NEW)
        assert all(f.read_bytes() == OLD for f in tmp_path.iterdir() if f.name != "a")

    def test_writes_on_after_a_short_write(self, tmp_path, monkeypatch):
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
        atomic_write(tmp_path / "a", NEW)
        assert (tmp_path / "a").read_bytes() == NEW

    def test_synced_before_it_gets_its_name(self, tmp_path, monkeypatch):
        (tmp_path / "a").write_bytes(OLD)
        steps = []
        for name in ("write", "fsync", "replace"):
            real = getattr(os, name)
            monkeypatch.setattr(
                os,
                name,
                lambda *a, name=name, real=real, **k: (steps.append(name), real(*a, **k))[1],
            )
        atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert steps[:3] == ["write", "fsync", "replace"]
        assert os.name == "nt" or steps[3:] == ["fsync"]  # of the folder

    def test_verify_gets_what_is_on_the_disk(self, tmp_path):
        seen = []
        atomic_write(tmp_path / "a", NEW, verify=lambda data: seen.append(data) or True)
        assert seen == [NEW]

    def test_nothing_happens_if_verify_says_no(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        with pytest.raises(OSError, match="would not show"):
            atomic_write(tmp_path / "a", NEW, overwrite=True, verify=refuse)
        assert (tmp_path / "a").read_bytes() == OLD
        assert names(tmp_path) == ["a"]

    def test_disk_that_lies_is_found_out(self, tmp_path, monkeypatch):
        (tmp_path / "a").write_bytes(OLD)
        read = os.read
        monkeypatch.setattr(os, "read", lambda fd, size: read(fd, size).replace(b"new", b"NEW"))
        with pytest.raises(OSError, match="did not give back"):
            atomic_write(tmp_path / "a", NEW, overwrite=True)
        assert (tmp_path / "a").read_bytes() == OLD
        assert names(tmp_path) == ["a"]

    @linux
    @pytest.mark.parametrize("step", ["open", "write", "fsync", "read", "close", "replace", "link"])
    @pytest.mark.parametrize(
        "failure",
        [OSError(errno.ENOSPC, "No space"), OSError(errno.EIO, "Bad disk"), KeyboardInterrupt()],
        ids=["full", "broken", "interrupt"],
    )
    def test_failure_at_any_step_changes_nothing(self, tmp_path, monkeypatch, step, failure):
        overwrite = step != "link"
        if overwrite:
            (tmp_path / "a").write_bytes(OLD)
        real = getattr(os, step)

        def fail(*arguments, **options):
            if step in ("open", "close"):  # the file is there, and yet the call fails
                real(*arguments, **options)
            raise failure

        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            if step == "link":  # where links fail, the other way fails as well
                patch.setattr(os, "replace", fail)
            with pytest.raises(type(failure)) as caught:
                atomic_write(tmp_path / "a", NEW, overwrite=overwrite)
        assert names(tmp_path) == (["a"] if overwrite else [])
        assert not overwrite or (tmp_path / "a").read_bytes() == OLD
        if isinstance(failure, OSError):
            assert caught.value.errno == failure.errno
            assert caught.value.filename == str(tmp_path / "a")

    @posix
    def test_works_without_hard_links(self, tmp_path, monkeypatch):
        def no_links(source, target):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
        atomic_write(tmp_path / "a", NEW)
        assert (tmp_path / "a").read_bytes() == NEW
        assert names(tmp_path) == ["a"]

    @posix
    @pytest.mark.parametrize("links", [True, False])
    def test_never_replaces_what_appeared_meanwhile(self, tmp_path, monkeypatch, links):
        link = os.link

        def appear(source, target):
            Path(target).write_bytes(OLD)
            if not links:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            link(source, target)

        monkeypatch.setattr(os, "link", appear)
        with pytest.raises(FileExistsError):
            atomic_write(tmp_path / "a", NEW)
        assert (tmp_path / "a").read_bytes() == OLD
        assert names(tmp_path) == ["a"]

    @posix
    def test_folder_that_cannot_be_synced_is_no_failure(self, tmp_path, monkeypatch):
        fsync = os.fsync

        def fail_for_folders(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", fail_for_folders)
        atomic_write(tmp_path / "a", NEW)
        assert (tmp_path / "a").read_bytes() == NEW

    @linux
    def test_leaks_no_descriptor(self, tmp_path):
        before = descriptors()
        for _ in range(3):
            atomic_write(tmp_path / "a", NEW, overwrite=True)
            with contextlib.suppress(OSError):
                atomic_write(tmp_path / "a", NEW, overwrite=True, verify=refuse)
        assert descriptors() == before

    def test_many_at_once_leave_one_whole_file(self, tmp_path):
        contents = [bytes([i]) * 50_000 for i in range(8)]
        run = [
            threading.Thread(
                target=atomic_write, args=(tmp_path / "a", c), kwargs={"overwrite": True}
            )
            for c in contents
        ]
        for thread in run:
            thread.start()
        for thread in run:
            thread.join()
        assert (tmp_path / "a").read_bytes() in contents
        assert names(tmp_path) == ["a"]

    def test_one_of_many_creates_the_file(self, tmp_path):
        winners, losers = [], []

        def write(content):
            try:
                atomic_write(tmp_path / "a", content)
                winners.append(content)
            except FileExistsError:
                losers.append(content)

        run = [threading.Thread(target=write, args=(bytes([i]) * 9,)) for i in range(8)]
        for thread in run:
            thread.start()
        for thread in run:
            thread.join()
        assert (len(winners), len(losers)) == (1, 7)
        assert (tmp_path / "a").read_bytes() == winners[0]
        assert names(tmp_path) == ["a"]

    @linux
    def test_real_limit_of_file_size(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        code = (
            "import resource\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
            "try: files.atomic_write(sys.argv[1], bytes(50_000), overwrite=True)\n"
            "except OSError as error: sys.exit(error.strerror)\n"
        )
        process = without_import(code, tmp_path / "a")
        assert os.strerror(errno.EFBIG) in process.communicate()[1].decode()
        assert (tmp_path / "a").read_bytes() == OLD
        assert names(tmp_path) == ["a"]

    @linux
    def test_read_only_folder(self, tmp_path):
        (tmp_path / "a").write_bytes(OLD)
        tmp_path.chmod(0o555)
        code = (
            "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "os.chdir(int(sys.argv[1]))\n"  # the folders above may be closed to this user
            "for name, overwrite in ('a', True), ('b', False):\n"
            "    try: files.atomic_write(name, b'', overwrite=overwrite)\n"
            "    except PermissionError as error: print(error.filename, file=sys.stderr)\n"
        )
        folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            process = without_import(code, str(folder), pass_fds=[folder])
            assert process.communicate()[1].decode().split() == ["a", "b"]
        finally:
            os.close(folder)
            tmp_path.chmod(0o755)
        assert names(tmp_path) == ["a"]
        assert (tmp_path / "a").read_bytes() == OLD

    @linux
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("step", ["open", "write", "fsync", "read", "close", "replace", "link"])
    def test_killed_at_any_step(self, tmp_path, step, moment):
        overwrite = step != "link"
        if overwrite:
            (tmp_path / "a").write_bytes(OLD)
        code = (
            "import signal\n"
            f"real = os.{step}\n"
            "def die(*arguments, **options):\n"
            f"    if {moment == 'after'}: real(*arguments, **options)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            f"os.{step} = die\n"
            f"files.atomic_write(sys.argv[1], {NEW!r}, overwrite={overwrite})\n"
        )
        process = without_import(code, tmp_path / "a")
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        left = tmp_path / "a"
        expected = [NEW] if moment == "after" and step in ("replace", "link") else [OLD, None]
        assert (left.read_bytes() if left.exists() else None) in expected
        assert len(temporaries(tmp_path)) <= 1

    @linux
    def test_killed_at_random_times(self, tmp_path):
        code = (
            "contents = [bytes([i]) * 200_000 for i in (65, 66)]\n"
            "while True:\n"
            "    for c in contents: files.atomic_write(sys.argv[1], c, overwrite=True)\n"
        )
        whole = [bytes([i]) * 200_000 for i in (65, 66)]
        rng = random.Random(7)
        for _ in range(15):
            process = without_import(code, tmp_path / "a")
            while not (tmp_path / "a").exists():
                time.sleep(0.001)
            time.sleep(rng.random() * 0.05)
            process.kill()
            process.communicate()
            assert (tmp_path / "a").read_bytes() in whole
        assert len(temporaries(tmp_path)) <= 15

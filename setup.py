"""What pyproject.toml cannot say: how the Cython kernels are compiled.

Switches, all environment variables:

KMEANS_C_OPENMP   auto (default: use OpenMP where a probe links, else build serial),
                  on (fail without it), off
KMEANS_C_ABI3     1 (default: one wheel for CPython 3.11 and newer) or 0
KMEANS_C_SANITIZE e.g. address,undefined: a build for the second, documented test command
                  (CONTRIBUTING.md)
KMEANS_C_ANNOTATE 1 writes Cython's annotated HTML beside the generated C, in build/cython
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError

HEADERS = [
    "kmeans_c/_kernels/multiversion.h",
    "kmeans_c/_kernels/keys.h",
    "kmeans_c/_kernels/listing.h",
]
GNU_FLAGS = [
    "-O3",
    "-DNDEBUG",
    "-fno-strict-overflow",
    # A fused multiply-add rounds once where two instructions round twice: without this flag the
    # SIMD levels would disagree on near ties.
    "-ffp-contract=off",
    # gcc turns a compare-and-select into min/blend only when it need not keep errno and traps.
    "-fno-math-errno",
    "-fno-trapping-math",
    # Cython writes every permutation of fused types, also those that nobody calls.
    "-Wno-unused-function",
]
PROBE = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"

openmp = os.environ.get("KMEANS_C_OPENMP", "auto")
sanitize = os.environ.get("KMEANS_C_SANITIZE", "")
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
abi3 = os.environ.get("KMEANS_C_ABI3", "1") == "1" and not free_threaded
if openmp not in ("auto", "on", "off"):
    sys.exit(f"KMEANS_C_OPENMP: expected auto, on or off, got {openmp!r}")


class BuildKernels(build_ext):
    """Adds flags once the compiler is known, and probes OpenMP by compiling and linking."""

    def finalize_options(self):
        """Compile as many modules at once as there are processors."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extensions(self):
        """Build with the flags of the compiler found."""
        msvc = self.compiler.compiler_type == "msvc"
        compile_args, link_args = (["/O2"], []) if msvc else (list(GNU_FLAGS), [])
        if sanitize:
            compile_args += ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitize}"]
            link_args += [f"-fsanitize={sanitize}"]
        if openmp != "off":
            for compiling, linking in self.openmp_candidates(msvc):
                if self.links(compiling, linking):
                    compile_args += compiling
                    link_args += linking
                    break
            else:
                if openmp == "on":
                    raise CCompilerError("KMEANS_C_OPENMP=on, but no OpenMP program links")
                self.announce("WARNING: no OpenMP found: kmeans-c will run on one thread", level=4)
        for extension in self.extensions:
            extension.extra_compile_args += compile_args
            extension.extra_link_args += link_args
        super().build_extensions()

    @staticmethod
    def openmp_candidates(msvc):
        """(compile, link) flags, in the order to try."""
        if msvc:
            return [(["/openmp"], [])]
        if sys.platform == "darwin":
            return [(["-Xpreprocessor", "-fopenmp"], ["-lomp"]), (["-fopenmp"], ["-fopenmp"])]
        return [(["-fopenmp"], ["-fopenmp"])]

    def links(self, compile_args, link_args):
        """Whether an OpenMP program compiles and links; not run, which would bar cross builds."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(PROBE)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=compile_args
                )
                self.compiler.link_executable(
                    objects, str(Path(folder, "probe")), extra_postargs=link_args
                )
            except (CCompilerError, OSError, subprocess.SubprocessError):
                return False
            return True


# What all modules need to take arrays, compiled once: it is most of a module, in bytes and in time.
SHARED = "kmeans_c._kernels._shared"

kernels = {
    f"kmeans_c._kernels.{path.stem}": path.as_posix()
    for path in sorted(Path("kmeans_c/_kernels").glob("*.pyx"))
}
extensions = [
    Extension(
        name,
        [source],
        depends=HEADERS,
        include_dirs=[str(Path(HEADERS[0]).parent)],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if abi3 else [],
        py_limited_api=abi3,
    )
    for name, source in ({SHARED: "build/cython/_shared.c"} | kernels).items()
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        annotate=os.environ.get("KMEANS_C_ANNOTATE") == "1",
        shared_utility_qualified_name=SHARED,
    ),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if abi3 else {},
)

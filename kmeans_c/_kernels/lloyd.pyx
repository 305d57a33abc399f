# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Lloyd's two steps on N points of D coordinates: nearest centroids, and the sums of each centroid.

Points are walked in blocks; a block is turned into one plane a coordinate, and four centroids at a
time are compared with all of its points. For up to four coordinates squared distances are compared.
For more of them it is scores, |c|^2 - 2 x.c, which order as the distances do and cost a third less;
coordinates are then taken relative to an `offset` near the points, or the two terms would cancel to
nothing for points far from the origin.

The points are cut into segments, at places that depend on N, K and D alone. A segment adds up its
points in index order, in interleaved lanes, and all lanes are merged in index order: the sums
depend neither on the number of threads nor on the slices in which the caller asks for the work.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.string cimport memcpy

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

cdef enum:
    BLOCK = 256  # points; best of 64..512 for up to 32 coordinates
    NARROW = 64  # points; keeps a block of more coordinates in the first-level cache
    WIDE = 32  # coordinates from which blocks are narrow
    PLANAR = 4  # coordinates up to which all of them are compared at once, in registers

ctypedef unsigned char uchar
ctypedef long long longlong

ctypedef fused value:  # what the points hold
    uchar
    float
    double

ctypedef fused real:  # what scores are computed in: float for bytes and floats, double for doubles
    float
    double

ctypedef fused magnitude:  # the bits of a float or a double
    int
    longlong

ctypedef fused total:  # what sums are kept in: integers for bytes, which makes them exact
    longlong
    double


# ---- One block. Scores and labels are both real numbers, so that one vector width serves them.

cdef km_body_void load(
    const value* restrict x, Py_ssize_t n, Py_ssize_t D, const real* restrict offset,
    real* restrict planes, Py_ssize_t width
) noexcept nogil:
    """IN n points, OUT planes. What stands behind the last point is stale and not read again."""
    cdef Py_ssize_t i, d
    if D == 3:
        for i in range(n):
            planes[i] = <real> x[3 * i]
            planes[width + i] = <real> x[3 * i + 1]
            planes[2 * width + i] = <real> x[3 * i + 2]
    elif D <= PLANAR:
        for d in range(D):
            for i in range(n):
                planes[d * width + i] = <real> x[i * D + d]
    else:
        for d in range(D):
            for i in range(n):
                planes[d * width + i] = <real> x[i * D + d] - offset[d]


cdef km_body_void planar(
    const real* restrict x, Py_ssize_t D, const real* restrict table, Py_ssize_t groups,
    real* restrict best, real* restrict label
) noexcept nogil:
    """IN planes and table, OUT label of each point. D is a constant here, up to PLANAR."""
    cdef Py_ssize_t g, i
    cdef real k, y, e0, e1, e2, e3, s0, s1, s2, s3, b, c
    cdef const real* restrict t
    for g in range(groups):
        t = table + g * 4 * D
        k = <real> (4 * g)
        for i in range(BLOCK):
            y = x[i]
            e0 = y - t[0]
            e1 = y - t[1]
            e2 = y - t[2]
            e3 = y - t[3]
            s0 = e0 * e0
            s1 = e1 * e1
            s2 = e2 * e2
            s3 = e3 * e3
            if D > 1:
                y = x[BLOCK + i]
                e0 = y - t[4]
                e1 = y - t[5]
                e2 = y - t[6]
                e3 = y - t[7]
                s0 = s0 + e0 * e0
                s1 = s1 + e1 * e1
                s2 = s2 + e2 * e2
                s3 = s3 + e3 * e3
            if D > 2:
                y = x[2 * BLOCK + i]
                e0 = y - t[8]
                e1 = y - t[9]
                e2 = y - t[10]
                e3 = y - t[11]
                s0 = s0 + e0 * e0
                s1 = s1 + e1 * e1
                s2 = s2 + e2 * e2
                s3 = s3 + e3 * e3
            if D > 3:
                y = x[3 * BLOCK + i]
                e0 = y - t[12]
                e1 = y - t[13]
                e2 = y - t[14]
                e3 = y - t[15]
                s0 = s0 + e0 * e0
                s1 = s1 + e1 * e1
                s2 = s2 + e2 * e2
                s3 = s3 + e3 * e3
            b = best[i]
            c = label[i]
            c = k if s0 < b else c
            b = s0 if s0 < b else b
            c = k + 1 if s1 < b else c
            b = s1 if s1 < b else b
            c = k + 2 if s2 < b else c
            b = s2 if s2 < b else b
            c = k + 3 if s3 < b else c
            b = s3 if s3 < b else b
            best[i] = b
            label[i] = c


cdef km_body_void blocked(
    const real* restrict x, Py_ssize_t D4, const real* restrict table, Py_ssize_t groups,
    real* restrict best, real* restrict label, real* restrict score, Py_ssize_t width
) noexcept nogil:
    """As `planar`, four coordinates at a time into rows of scores; `width` is a constant here."""
    cdef Py_ssize_t g, q, i
    cdef real k, x0, x1, x2, x3, b, c
    cdef const real* restrict t
    cdef const real* restrict p
    cdef real* restrict r0 = score
    cdef real* restrict r1 = score + width
    cdef real* restrict r2 = score + 2 * width
    cdef real* restrict r3 = score + 3 * width
    for g in range(groups):
        t = table + g * 4 * (D4 + 1)
        for i in range(width):
            r0[i] = t[0]
            r1[i] = t[1]
            r2[i] = t[2]
            r3[i] = t[3]
        for q in range(D4 >> 2):
            t = table + g * 4 * (D4 + 1) + 4 + 16 * q
            p = x + 4 * q * width
            for i in range(width):
                x0 = p[i]
                x1 = p[width + i]
                x2 = p[2 * width + i]
                x3 = p[3 * width + i]
                r0[i] = r0[i] + (x0 * t[0] + x1 * t[4] + (x2 * t[8] + x3 * t[12]))
                r1[i] = r1[i] + (x0 * t[1] + x1 * t[5] + (x2 * t[9] + x3 * t[13]))
                r2[i] = r2[i] + (x0 * t[2] + x1 * t[6] + (x2 * t[10] + x3 * t[14]))
                r3[i] = r3[i] + (x0 * t[3] + x1 * t[7] + (x2 * t[11] + x3 * t[15]))
        k = <real> (4 * g)
        for i in range(width):
            b = best[i]
            c = label[i]
            c = k if r0[i] < b else c
            b = r0[i] if r0[i] < b else b
            c = k + 1 if r1[i] < b else c
            b = r1[i] if r1[i] < b else b
            c = k + 2 if r2[i] < b else c
            b = r2[i] if r2[i] < b else b
            c = k + 3 if r3[i] < b else c
            b = r3[i] if r3[i] < b else b
            best[i] = b
            label[i] = c


cdef km_body_void nearest(
    const value* x, Py_ssize_t n, Py_ssize_t D, const real* offset, const real* table,
    Py_ssize_t groups, real* restrict scratch, int* restrict labels
) noexcept nogil:
    """IN n points, at most a block; OUT their labels."""
    cdef Py_ssize_t width = NARROW if D > WIDE else BLOCK
    cdef Py_ssize_t D4 = D if D <= PLANAR else (D + 3) & ~3
    cdef Py_ssize_t i
    cdef real* planes = scratch
    cdef real* restrict best = planes + D4 * width
    cdef real* restrict label = best + width
    cdef real* score = label + width
    for i in range(width):
        best[i] = INFINITY
        label[i] = 0
    load(x, n, D, offset, planes, width)
    if D == 1:
        planar(planes, 1, table, groups, best, label)
    elif D == 2:
        planar(planes, 2, table, groups, best, label)
    elif D == 3:
        planar(planes, 3, table, groups, best, label)
    elif D == 4:
        planar(planes, 4, table, groups, best, label)
    elif D <= WIDE:
        blocked(planes, D4, table, groups, best, label, score, BLOCK)
    else:
        blocked(planes, D4, table, groups, best, label, score, NARROW)
    for i in range(n):
        labels[i] = <int> label[i]


cdef km_body_void add(
    const value* x, const int* labels, const total* weights, Py_ssize_t n, Py_ssize_t D,
    total* sums, Py_ssize_t lanes, Py_ssize_t stride
) noexcept nogil:
    """IN points, labels and weights or NULL; INOUT sums: rows of D sums and the weight."""
    cdef Py_ssize_t i, d
    cdef total w = 1
    cdef total* row
    if D == 3 and weights == NULL:
        for i in range(n):
            row = sums + (i & (lanes - 1)) * stride + <Py_ssize_t> labels[i] * 4
            row[0] = row[0] + <total> x[3 * i]
            row[1] = row[1] + <total> x[3 * i + 1]
            row[2] = row[2] + <total> x[3 * i + 2]
            row[3] = row[3] + 1
    else:
        for i in range(n):
            row = sums + (i & (lanes - 1)) * stride + <Py_ssize_t> labels[i] * (D + 1)
            if weights != NULL:
                w = weights[i]
            for d in range(D):
                row[d] = row[d] + w * <total> x[i * D + d]
            row[D] = row[D] + w


# ---- A stretch of points on one thread: the body, and one wrapper a SIMD level.

cdef km_body_void stretch(
    const value* x, const total* weights, Py_ssize_t n, Py_ssize_t D, const real* table,
    Py_ssize_t groups, const real* offset, int* labels, total* sums, Py_ssize_t lanes,
    Py_ssize_t stride, real* scratch
) noexcept nogil:
    """Label n points and add them up.

    IN table, OUT labels or NULL where nobody wants them; or no table, and IN labels.
    INOUT sums, or NULL.
    """
    cdef Py_ssize_t start = 0, count, i, width = NARROW if D > WIDE else BLOCK
    cdef int own[BLOCK]
    cdef int* out
    if table != NULL:
        for i in range((D if D <= PLANAR else (D + 3) & ~3) * width):
            scratch[i] = 0
    while start < n:
        count = min(width, n - start)
        out = labels + start if labels != NULL else own
        if table != NULL:
            nearest(x + start * D, count, D, offset, table, groups, scratch, out)
        if sums != NULL:
            add(x + start * D, out, weights + start if weights != NULL else NULL, count, D,
                sums, lanes, stride)
        start += width


cdef void stretch_baseline(
    const value* x, const total* weights, Py_ssize_t n, Py_ssize_t D, const real* table,
    Py_ssize_t groups, const real* offset, int* labels, total* sums, Py_ssize_t lanes,
    Py_ssize_t stride, real* scratch
) noexcept nogil:
    stretch(x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)

cdef km_v3_void stretch_avx2(
    const value* x, const total* weights, Py_ssize_t n, Py_ssize_t D, const real* table,
    Py_ssize_t groups, const real* offset, int* labels, total* sums, Py_ssize_t lanes,
    Py_ssize_t stride, real* scratch
) noexcept nogil:
    stretch(x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)

cdef km_v4_void stretch_avx512(
    const value* x, const total* weights, Py_ssize_t n, Py_ssize_t D, const real* table,
    Py_ssize_t groups, const real* offset, int* labels, total* sums, Py_ssize_t lanes,
    Py_ssize_t stride, real* scratch
) noexcept nogil:
    stretch(x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)

cdef void stretch_at(
    int level, const value* x, const total* weights, Py_ssize_t n, Py_ssize_t D, const real* table,
    Py_ssize_t groups, const real* offset, int* labels, total* sums, Py_ssize_t lanes,
    Py_ssize_t stride, real* scratch
) noexcept nogil:
    if level >= 2:
        stretch_avx512(
            x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)
    elif level == 1:
        stretch_avx2(x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)
    else:
        stretch_baseline(
            x, weights, n, D, table, groups, offset, labels, sums, lanes, stride, scratch)


# ---- The doors. All arrays are C-contiguous and of matching shapes; labels are in range.

def pack(const double[:, ::1] centroids not None, const double[::1] offset not None,
         real[:, :, ::1] table not None):
    """Write the table that `assign` reads: four centroids a group, coordinate by coordinate.

    Up to PLANAR coordinates they stand as they are, (groups, D, 4). Beyond, it is relative to the
    offset |c|^2 and then -2 c, (groups, D4 + 1, 4), D4 being D rounded up to a multiple of four.
    The last group is filled up with centroids at an infinite distance.
    """
    cdef Py_ssize_t K = centroids.shape[0], D = centroids.shape[1]
    cdef Py_ssize_t k, d
    cdef real c
    cdef double norm
    for k in range(4 * table.shape[0]):
        if D <= PLANAR:
            for d in range(D):
                table[k >> 2, d, k & 3] = <real> centroids[k, d] if k < K else <real> INFINITY
            continue
        norm = 0
        for d in range(table.shape[1] - 1):
            c = <real> (centroids[k, d] - offset[d]) if k < K and d < D else 0
            norm += <double> c * c
            table[k >> 2, d + 1, k & 3] = -2 * c
        table[k >> 2, 0, k & 3] = <real> norm if k < K else <real> INFINITY


cdef sweep(
    const value[:, ::1] X, const total[::1] weights, const real[:, :, ::1] table,
    const real[::1] offset, int[::1] labels, total[:, :, :, ::1] sums, Py_ssize_t length,
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t stop, real[:, ::1] scratch,
    int n_threads, int level
):
    cdef Py_ssize_t N = X.shape[0], D = X.shape[1], s, a, n
    cdef Py_ssize_t groups = table.shape[0] if table is not None else 0
    cdef Py_ssize_t lanes = sums.shape[1] if sums is not None else 0
    cdef Py_ssize_t stride = sums.shape[2] * sums.shape[3] if sums is not None else 0
    cdef Py_ssize_t scratch_size = scratch.shape[1]
    cdef const value* x = &X[0, 0]
    cdef const total* w = &weights[0] if weights is not None else NULL
    cdef const real* packed = &table[0, 0, 0] if table is not None else NULL
    cdef const real* origin = &offset[0]
    cdef int* out = &labels[0] if labels is not None else NULL
    cdef total* into = &sums[0, 0, 0, 0] if sums is not None else NULL
    cdef real* work = &scratch[0, 0]
    for s in prange(first, last, num_threads=n_threads, schedule="dynamic", nogil=True):
        a = s * length + start
        n = min(s * length + stop, N) - a
        if n > 0:
            stretch_at(level, x + a * D, w + a if w != NULL else NULL, n, D, packed, groups, origin,
                       out + a if out != NULL else NULL,
                       into + s * lanes * stride if into != NULL else NULL, lanes, stride,
                       work + threadid() * scratch_size)


def assign(const value[:, ::1] X not None, weights, table, offset, labels, sums,
           Py_ssize_t length, Py_ssize_t first, Py_ssize_t last, Py_ssize_t start, Py_ssize_t stop,
           scratch, int n_threads, int level):
    """Points [start, stop) of each of the segments [first, last), which are `length` points long.

    IN table, OUT labels or None; or no table, and IN labels. INOUT sums (segments, lanes, K, D + 1)
    or None. `start` is a multiple of the block, so that slices do not change a point's lane.
    """
    if value is uchar:
        sweep[uchar, longlong, float](X, weights, table, offset, labels, sums, length, first, last,
                                      start, stop, scratch, n_threads, level)
    elif value is float:
        sweep[float, double, float](X, weights, table, offset, labels, sums, length, first, last,
                                    start, stop, scratch, n_threads, level)
    else:
        sweep[double, double, double](X, weights, table, offset, labels, sums, length, first, last,
                                      start, stop, scratch, n_threads, level)


def merge(const total[:, :, :, ::1] sums not None, total[:, ::1] totals not None):
    """Add up the rows of all segments and lanes, in index order: OUT totals (K, D + 1)."""
    cdef Py_ssize_t rows = sums.shape[0] * sums.shape[1], size = sums.shape[2] * sums.shape[3], r, i
    cdef const total* row = &sums[0, 0, 0, 0]
    cdef total* out = &totals[0, 0]
    with nogil:
        for i in range(size):
            out[i] = row[i]
        for r in range(1, rows):
            for i in range(size):
                out[i] += row[r * size + i]


cdef km_body_void highest(const magnitude* restrict bits, Py_ssize_t n, magnitude mask,
                          magnitude* restrict result) noexcept nogil:
    cdef Py_ssize_t i
    cdef magnitude most = 0, m
    for i in range(n):
        m = bits[i] & mask
        most = m if m > most else most
    result[0] = most

cdef void highest_baseline(
    const magnitude* bits, Py_ssize_t n, magnitude mask, magnitude* result
) noexcept nogil:
    highest(bits, n, mask, result)

cdef km_v3_void highest_avx2(
    const magnitude* bits, Py_ssize_t n, magnitude mask, magnitude* result
) noexcept nogil:
    highest(bits, n, mask, result)


def peak(const real[::1] x not None, int level):
    """The largest magnitude; infinite or NaN where any number is.

    The bits of a float without its sign order as its magnitude does, with infinity and NaN on top.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef int narrow = 0, narrow_mask = 0x7fffffff
    cdef longlong wide = 0, wide_mask = 0x7fffffffffffffff
    cdef real result
    with nogil:
        if real is float:
            if level >= 1:
                highest_avx2[int](<const int*> &x[0], n, narrow_mask, &narrow)
            else:
                highest_baseline[int](<const int*> &x[0], n, narrow_mask, &narrow)
        else:
            if level >= 1:
                highest_avx2[longlong](<const longlong*> &x[0], n, wide_mask, &wide)
            else:
                highest_baseline[longlong](<const longlong*> &x[0], n, wide_mask, &wide)
    if real is float:
        memcpy(&result, &narrow, sizeof(result))
    else:
        memcpy(&result, &wide, sizeof(result))
    return <double> result

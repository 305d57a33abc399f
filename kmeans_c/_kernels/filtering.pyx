# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Exact Lloyd passes over weighted points: the filtering algorithm of Kanungo et al. 2002,
incremental.

Points are grouped in three levels of nodes with bounding boxes: tops, mids and leaves. A full
pass filters the centroids down the levels; a node with one candidate left belongs to it as a
whole. The leaves on borders keep their short lists, made long enough that no centroid outside a
list can win while every centroid stays within its slack of where the list was made: passes until
then compare only the colours of these leaves with their lists. Sums are kept from pass to pass,
and only what changes its owner is added and subtracted. All of it is integer arithmetic but for
the bounds, which can only cost time: owners and sums are those of a comparison of everything
with everything.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t, uint16_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from kmeans_c._kernels.nearest cimport (
    ID, MAX_LEAF, PACK, PLANES, filter_at, filter_fn, own_at, own_fn, pack_centroid, padded)
from kmeans_c._kernels.points cimport Points

cdef enum:
    MIXED = -1      # owner of a leaf whose points have different owners

# How many times its last step a centroid may move before the lists are made anew.
cdef float PATIENCE = 4.0
# And how far, in parts of the clusters' radius. Both from one sweep over four photos, 2 to 8 steps
# and 0.03 to 0.25 radii, on a busy machine; they decide speed only.
cdef float ROOM = 0.06


cdef struct Stream:     # the border leaves of a top: leaf, length, candidates; and again
    int32_t* at
    Py_ssize_t used
    Py_ssize_t room


cdef struct Worker:     # what one thread writes
    int32_t* lists      # a candidate list a level
    float* slacks
    int32_t* work
    int64_t* sums       # what this pass adds to the clusters' sums
    int64_t changed     # points that changed their owner
    int failed          # out of memory: the streams are incomplete


cdef class Tree(Points):
    """Weighted points and their clusters. Not safe for use by two threads at once."""

    cdef readonly Py_ssize_t full_passes    # passes that filtered from the top
    cdef int32_t* owner         # of each leaf, or MIXED
    cdef uint16_t* label        # of each point; only those of MIXED leaves are true
    cdef Stream* streams        # a top
    cdef Py_ssize_t K
    cdef Py_ssize_t stride_k
    cdef int n_workers
    cdef Worker* workers
    cdef int64_t* sums          # (K, D + 1)
    cdef int32_t* now           # (K, D) centroids of this pass
    cdef int32_t* last          # of the last
    cdef int32_t* origin        # where the lists were made
    cdef float* slack           # how far from there a centroid may be; padded
    cdef int32_t* planes        # all centroids as a candidate list
    cdef int32_t* packed
    cdef bint have_last
    cdef bint have_lists
    cdef filter_fn filter
    cdef own_fn own

    def __cinit__(self, *_):
        self.owner = <int32_t*> calloc(self.leaves.n, sizeof(int32_t))
        self.label = <uint16_t*> calloc(self.n + MAX_LEAF, sizeof(uint16_t))
        self.streams = <Stream*> calloc(self.tops.n, sizeof(Stream))
        if self.owner == NULL or self.label == NULL or self.streams == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t t
        self.forget_workers()
        if self.streams != NULL:
            for t in range(self.tops.n):
                free(self.streams[t].at)
        free(self.streams)
        free(self.owner)
        free(self.label)

    cdef void forget_workers(self) noexcept:
        cdef int t
        if self.workers != NULL:
            for t in range(self.n_workers):
                free(self.workers[t].lists)
                free(self.workers[t].slacks)
                free(self.workers[t].work)
                free(self.workers[t].sums)
        free(self.workers)
        free(self.sums)
        free(self.now)
        free(self.last)
        free(self.origin)
        free(self.slack)
        free(self.planes)
        free(self.packed)
        self.workers = NULL
        self.sums = NULL
        self.now = self.last = self.origin = self.planes = self.packed = NULL
        self.slack = NULL

    cdef int prepare(self, Py_ssize_t K, int n_threads, int level) except -1:
        """Have memory for K clusters; a new K starts with everything in cluster 0."""
        cdef Py_ssize_t leaf
        cdef int t, d
        cdef Worker* worker
        self.filter = filter_at(self.D, level)
        self.own = own_at(self.D, level)
        if self.workers != NULL and K == self.K and n_threads <= self.n_workers:
            return 0
        self.forget_workers()
        self.K = K
        self.stride_k = padded(K)
        self.n_workers = n_threads
        self.have_last = self.have_lists = False
        self.workers = <Worker*> calloc(n_threads, sizeof(Worker))
        self.sums = <int64_t*> calloc(K * (self.D + 1), sizeof(int64_t))
        self.now = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.last = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.origin = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.slack = <float*> calloc(self.stride_k, sizeof(float))
        self.planes = <int32_t*> calloc(self.stride_k * PLANES, sizeof(int32_t))
        self.packed = <int32_t*> calloc(K * PACK, sizeof(int32_t))
        if (self.workers == NULL or self.sums == NULL or self.now == NULL or self.last == NULL
                or self.origin == NULL or self.slack == NULL or self.planes == NULL
                or self.packed == NULL):
            self.forget_workers()
            raise MemoryError
        for t in range(n_threads):
            worker = &self.workers[t]
            worker.lists = <int32_t*> malloc(3 * PLANES * self.stride_k * sizeof(int32_t))
            worker.slacks = <float*> malloc(2 * self.stride_k * sizeof(float))
            worker.work = <int32_t*> malloc(self.stride_k * sizeof(int32_t))
            worker.sums = <int64_t*> calloc(K * (self.D + 1), sizeof(int64_t))
            if (worker.lists == NULL or worker.slacks == NULL or worker.work == NULL
                    or worker.sums == NULL):
                self.forget_workers()
                raise MemoryError
        for leaf in range(self.leaves.n):
            self.owner[leaf] = 0
            for d in range(self.D + 1):
                self.sums[d] += self.leaf_sums[leaf * (self.D + 1) + d]
        return 0

    cdef void set_owner(self, Worker* worker, Py_ssize_t first, Py_ssize_t last,
                        int32_t new) noexcept nogil:
        """Give whole leaves to one cluster."""
        cdef Py_ssize_t leaf, i
        cdef int d, width = self.D + 1
        cdef int32_t old
        for leaf in range(first, last):
            old = self.owner[leaf]
            if old == new:
                continue
            if old == MIXED:
                for i in range(self.leaves.first[leaf], self.leaves.first[leaf + 1]):
                    if self.label[i] != new:
                        self.move(worker, i, self.label[i], new)
            else:
                for d in range(width):
                    worker.sums[old * width + d] -= self.leaf_sums[leaf * width + d]
                    worker.sums[new * width + d] += self.leaf_sums[leaf * width + d]
                worker.changed += self.leaves.first[leaf + 1] - self.leaves.first[leaf]
            self.owner[leaf] = new

    cdef inline void move(self, Worker* worker, Py_ssize_t i, int32_t old,
                          int32_t new) noexcept nogil:
        cdef int d
        cdef int64_t part
        for d in range(self.D):
            part = self.w[i] * self.x[d * self.stride + i]
            worker.sums[old * (self.D + 1) + d] -= part
            worker.sums[new * (self.D + 1) + d] += part
        worker.sums[old * (self.D + 1) + self.D] -= self.w[i]
        worker.sums[new * (self.D + 1) + self.D] += self.w[i]
        worker.changed += 1

    cdef void share(self, Worker* worker, Py_ssize_t leaf, const int32_t* ids,
                    int m) noexcept nogil:
        """Give each point of a leaf to the nearest of m candidates."""
        cdef Py_ssize_t first = self.leaves.first[leaf]
        cdef int n = <int> (self.leaves.first[leaf + 1] - first), i
        cdef int j, n_moved = 0
        cdef int moved[MAX_LEAF]
        cdef int32_t new[MAX_LEAF]
        cdef uint16_t* label = self.label + first
        cdef int32_t old = self.owner[leaf], differ
        if old != MIXED:
            for i in range(n):
                label[i] = <uint16_t> old
            self.owner[leaf] = MIXED
        self.own(self.x + first, self.stride, n, self.packed, ids, m, label, new, &differ)
        if differ:
            for i in range(n):      # without a branch: which points change is hard to predict
                moved[n_moved] = i
                n_moved += new[i] != label[i]
            for j in range(n_moved):
                i = moved[j]
                self.move(worker, first + i, label[i], new[i])
                label[i] = <uint16_t> new[i]

    cdef void keep_list(self, Worker* worker, Stream* stream, Py_ssize_t leaf,
                        const int32_t* ids, int m) noexcept nogil:
        cdef Py_ssize_t room
        cdef void* at
        if stream.used + m + 2 > stream.room:
            room = 2 * stream.room + m + 256
            at = realloc(stream.at, room * sizeof(int32_t))
            if at == NULL:
                worker.failed = 1
                return
            stream.at = <int32_t*> at
            stream.room = room
        stream.at[stream.used] = <int32_t> leaf
        stream.at[stream.used + 1] = m
        memcpy(stream.at + stream.used + 2, ids, m * sizeof(int32_t))
        stream.used += m + 2

    cdef void full_top(self, Worker* worker, Py_ssize_t top) noexcept nogil:
        """Filter all centroids down to the leaves of one top."""
        cdef Py_ssize_t size = PLANES * self.stride_k, k = self.stride_k, mid, leaf
        cdef int32_t* of_top = worker.lists
        cdef int32_t* of_mid = worker.lists + size
        cdef int32_t* of_leaf = worker.lists + 2 * size
        cdef Stream* stream = &self.streams[top]
        cdef int m_top, m_mid, m_leaf
        stream.used = 0
        self.filter(self.planes, self.slack, k, <int> self.K, self.tops.low + 4 * top,
                    self.tops.high + 4 * top, of_top, worker.slacks, worker.work, &m_top)
        if m_top == 1:
            self.set_owner(worker, self.mids.first[self.tops.first[top]],
                           self.mids.first[self.tops.first[top + 1]], of_top[ID * k])
            return
        for mid in range(self.tops.first[top], self.tops.first[top + 1]):
            self.filter(of_top, worker.slacks, k, m_top, self.mids.low + 4 * mid,
                        self.mids.high + 4 * mid, of_mid, worker.slacks + k, worker.work, &m_mid)
            if m_mid == 1:
                self.set_owner(worker, self.mids.first[mid], self.mids.first[mid + 1],
                               of_mid[ID * k])
                continue
            for leaf in range(self.mids.first[mid], self.mids.first[mid + 1]):
                self.filter(of_mid, worker.slacks + k, k, m_mid, self.leaves.low + 4 * leaf,
                            self.leaves.high + 4 * leaf, of_leaf, NULL,
                            worker.work, &m_leaf)
                if m_leaf == 1:
                    self.set_owner(worker, leaf, leaf + 1, of_leaf[ID * k])
                else:
                    self.share(worker, leaf, of_leaf + ID * k, m_leaf)
                    if self.have_lists:
                        self.keep_list(worker, stream, leaf, of_leaf + ID * k, m_leaf)

    cdef void border_top(self, Worker* worker, Py_ssize_t top) noexcept nogil:
        """Compare the border leaves of one top with their lists."""
        cdef Stream* stream = &self.streams[top]
        cdef Py_ssize_t at = 0
        while at < stream.used:
            self.share(worker, stream.at[at], stream.at + at + 2, stream.at[at + 1])
            at += 2 + stream.at[at + 1]

    cdef bint lists_hold(self) noexcept nogil:
        cdef Py_ssize_t k
        cdef int d
        cdef float moved, step
        if not self.have_lists:
            return False
        for k in range(self.K):
            moved = 0
            for d in range(self.D):
                step = <float> (self.now[k * self.D + d] - self.origin[k * self.D + d])
                moved += step * step
            if moved > 0 and sqrtf(moved) >= self.slack[k]:
                return False
        return True

    cdef void plan_lists(self) noexcept nogil:
        """Give every centroid slack for some steps like its last one, unless the steps are long.

        Slack makes lists longer: beyond a share of the clusters' size, filtering each time is
        cheaper.
        """
        cdef Py_ssize_t k
        cdef int d
        cdef float moved, step, mean = 0, patience = 0
        memcpy(self.origin, self.now, self.K * self.D * sizeof(int32_t))
        self.have_lists = False
        if self.have_last:
            for k in range(self.K):
                moved = 0
                for d in range(self.D):
                    step = <float> (self.now[k * self.D + d] - self.last[k * self.D + d])
                    moved += step * step
                self.slack[k] = sqrtf(moved)
                mean += self.slack[k] / <float> self.K
            patience = min(PATIENCE, ROOM * self.radius() / (mean + 1))
            self.have_lists = patience >= 1
        for k in range(self.K):
            self.slack[k] = 1 + patience * min(max(self.slack[k], mean / 2), 8 * mean) if (
                self.have_lists) else 0
        for k in range(self.K, self.stride_k):
            self.slack[k] = self.slack[0]

    cdef float radius(self) noexcept nogil:
        """The root of the mean squared distance to the centroids of the last pass, in float32 a
        mere estimate."""
        cdef double inside = 0, weight = 0, mass
        cdef Py_ssize_t k
        cdef int d
        for k in range(self.K):
            mass = <double> self.sums[k * (self.D + 1) + self.D]
            if mass > 0:
                weight += mass
                for d in range(self.D):
                    inside += <double> self.sums[k * (self.D + 1) + d] ** 2 / mass
        inside = 32768.0 * <double> self.squares_high + <double> self.squares_low - inside
        return <float> sqrt(max(0.0, inside) / weight)

    cdef int64_t one_pass(self, int n_threads) noexcept nogil:
        """Bring owners and sums up to date with `now`; return how many points changed hands."""
        cdef Py_ssize_t k, top, i, K = self.K
        cdef int d, t, D = self.D
        cdef bint full = not self.lists_hold()
        cdef int64_t changed = 0
        for k in range(K):
            pack_centroid(self.packed + PACK * k, self.now + k * D, D)
        if full:
            self.full_passes += 1
            self.plan_lists()
            for k in range(self.stride_k):
                for d in range(D):
                    self.planes[d * self.stride_k + k] = self.now[(k if k < K else 0) * D + d]
                self.planes[ID * self.stride_k + k] = <int32_t> (k if k < K else 0)
        if n_threads == 1:
            for top in range(self.tops.n):
                if full:
                    self.full_top(&self.workers[0], top)
                else:
                    self.border_top(&self.workers[0], top)
        else:
            for top in prange(self.tops.n, num_threads=n_threads, schedule="dynamic", chunksize=4):
                if full:
                    self.full_top(&self.workers[threadid()], top)
                else:
                    self.border_top(&self.workers[threadid()], top)
        for t in range(n_threads):
            for i in range(K * (D + 1)):
                self.sums[i] += self.workers[t].sums[i]
            memset(self.workers[t].sums, 0, K * (D + 1) * sizeof(int64_t))
            changed += self.workers[t].changed
            self.workers[t].changed = 0
            if self.workers[t].failed:
                self.workers[t].failed = 0
                self.have_lists = False
        memcpy(self.last, self.now, K * D * sizeof(int32_t))
        self.have_last = True
        return changed

    def assign(self, const int32_t[:, ::1] centroids not None,  # IN (K, D), K <= 65536
               int64_t[:, ::1] sums not None,                   # OUT (K, D + 1): of w x, then of w
               int n_threads, int level):
        """Give every point to the first of its nearest centroids; return how many changed."""
        cdef int64_t changed
        self.prepare(centroids.shape[0], n_threads, level)
        with nogil:
            memcpy(self.now, &centroids[0, 0], self.K * self.D * sizeof(int32_t))
            changed = self.one_pass(n_threads)
            memcpy(&sums[0, 0], self.sums, self.K * (self.D + 1) * sizeof(int64_t))
        return changed

    def iterate(self, int32_t[:, ::1] centroids not None,       # INOUT (K, D)
                int64_t[:, ::1] sums not None,                  # OUT (K, D + 1)
                Py_ssize_t passes, int n_threads, int level):
        """Assign and move centroids to their means, up to `passes` times.

        Stops before a move if a cluster is empty, and after a pass in which no centroid moved.
        Returns (moves made, 0 all made | 1 converged | 2 a cluster is empty). `sums` are those
        of the last assignment.
        """
        cdef Py_ssize_t done = 0, k
        cdef int d, state = 0, D = self.D
        cdef int64_t weight, mean
        cdef bint moved
        self.prepare(centroids.shape[0], n_threads, level)
        with nogil:
            memcpy(self.now, &centroids[0, 0], self.K * D * sizeof(int32_t))
            while done < passes and state == 0:
                self.one_pass(n_threads)
                for k in range(self.K):
                    if self.sums[k * (D + 1) + D] == 0:
                        state = 2
                if state == 2:
                    break
                moved = False
                for k in range(self.K):
                    weight = self.sums[k * (D + 1) + D]
                    for d in range(D):
                        mean = (2 * self.sums[k * (D + 1) + d] + weight) // (2 * weight)
                        moved = moved or mean != self.now[k * D + d]
                        self.now[k * D + d] = <int32_t> mean
                done += 1
                if not moved:
                    state = 1
            memcpy(&centroids[0, 0], self.now, self.K * D * sizeof(int32_t))
            memcpy(&sums[0, 0], self.sums, self.K * (D + 1) * sizeof(int64_t))
        return done, state

    def labels(self, uint16_t[::1] out not None):   # OUT (n,)
        """Write the owner that the last pass gave each point."""
        cdef Py_ssize_t leaf, i
        with nogil:
            for leaf in range(self.leaves.n):
                for i in range(self.leaves.first[leaf], self.leaves.first[leaf + 1]):
                    out[i] = (self.label[i] if self.owner[leaf] == MIXED
                              else <uint16_t> self.owner[leaf])

    def worst(self):
        """Return (point, cost): the largest weight (at most 2^33 - 1) times squared distance to its
        centroid.

        The first of equals.
        """
        cdef Py_ssize_t leaf, i, at = 0
        cdef int d
        cdef int64_t most = -1, cost, delta
        cdef int32_t k
        with nogil:
            for leaf in range(self.leaves.n):
                for i in range(self.leaves.first[leaf], self.leaves.first[leaf + 1]):
                    k = self.label[i] if self.owner[leaf] == MIXED else self.owner[leaf]
                    cost = 0
                    for d in range(self.D):
                        delta = self.x[d * self.stride + i] - self.last[k * self.D + d]
                        cost += delta * delta
                    cost *= min(self.w[i], <int64_t> ((<int64_t> 1 << 33) - 1))
                    if cost > most:
                        most = cost
                        at = i
        return at, most

# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Exact Lloyd passes over weighted points: the filtering algorithm of Kanungo et al. 2002,
incremental.

Points are grouped in three levels of nodes with bounding boxes: tops, mids and leaves. A full
pass filters the centroids down the levels; a node with one candidate left belongs to it as a
whole, and the points of the leaves on borders are compared with their leaf's candidates.

Every centroid is given slack: how far it may move from its origin before anything is filtered
again. Filtering keeps what slack allows to win, and of a border leaf only those points are
remembered whose two nearest are so close that slack allows them to change places. Until a
centroid leaves its slack a pass compares these points alone; when one does, the tops that it can
reach are filtered again. Sums are kept from pass to pass, and only what changes its owner is added
and subtracted. All of it is integer arithmetic but for the bounds, which can only cost time: owners
and sums are those of a comparison of everything with everything.
"""

cimport cython
from cython.parallel cimport prange, threadid
from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from kmeans_c._kernels.nearest cimport (
    ID, MAX_LEAF, PACK, PLANES, filter_at, filter_fn, near_at, near_fn, own_at, own_fn,
    pack_centroid, padded)
from kmeans_c._kernels.points cimport Points

cdef extern from "multiversion.h" nogil:
    void km_prefetch(const void* address)

cdef enum:
    MOVES = 256     # that are put off at most
    MIXED = -1      # owner of a leaf whose points have different owners
    NOBODY = -2     # owner of every leaf before the first pass
    BORDERS = 0     # what a pass does: compare what is remembered,
    SOME = 1        # filter the tops that a centroid beyond its slack can reach,
    ALL = 2         # filter everything
    WORTH = 1 << 18     # remembered words that are worth a second thread: some 0.1 ms

# Slack is so many times a centroid's last step, and so much more; and none if that is a larger part
# of the clusters' radius than this, as filtering each time is cheaper then. If more than this share
# of the centroids left their slack, everything is filtered. All from sweeps over three photos, 16
# and 256 clusters, on a busy machine; they decide speed only.
cdef float PATIENCE = 3.0
cdef float LEAST = 16.0
cdef float ROOM = 0.1
cdef float MANY = 0.02


cdef struct Stream:     # of a top: its candidates; of each mid, its candidates and close points
    int32_t* at
    Py_ssize_t used
    Py_ssize_t room


cdef struct Group:      # close points of a mid, still to be written
    int n
    int32_t point[MAX_LEAF]
    uint8_t* seen       # the mid's candidates that some of the leaves have


cdef struct Move:       # of a point from one cluster to another
    int32_t point
    int32_t old
    int32_t new


cdef struct Worker:     # what one thread writes
    int32_t* lists      # a candidate list a level
    float* slacks
    int32_t* work
    Stream stream       # of the top that is being filtered
    Group group
    Move moves[MOVES]
    int n_moves
    int64_t* sums       # what this pass adds to the clusters' sums
    int64_t changed     # points that changed their owner
    int64_t cost        # of the costliest point,
    Py_ssize_t costliest
    int failed          # out of memory: the streams are incomplete


cdef inline float distance(const int32_t* a, const int32_t* b, int D) noexcept nogil:
    cdef float total = 0, step
    cdef int d
    for d in range(D):
        step = <float> (a[d] - b[d])
        total += step * step
    return sqrtf(total)


cdef inline void add_move(Worker* worker, const int64_t* weights, int32_t point, int32_t old,
                          int32_t new) noexcept nogil:
    cdef Move* move = &worker.moves[worker.n_moves]
    worker.n_moves += 1
    move.point = point
    move.old = old
    move.new = new
    km_prefetch(&weights[point])


cdef inline void move_sums(int D, const int32_t* x, Py_ssize_t stride, int64_t weight,
                           int64_t* sums, int32_t old, int32_t new) noexcept nogil:
    """Subtract a point from the sums of one cluster and add it to those of another."""
    cdef int64_t* less = sums + old * (D + 1)
    cdef int64_t* more = sums + new * (D + 1)
    cdef int64_t part
    cdef int d
    for d in range(3):
        part = weight * x[d * stride]
        less[d] -= part
        more[d] += part
    if D == 4:
        part = weight * x[3 * stride]
        less[3] -= part
        more[3] += part
    less[D] -= weight
    more[D] += weight


@cython.final
cdef class Tree(Points):
    """Weighted points and their clusters. Not safe for use by two threads at once."""

    cdef readonly Py_ssize_t full_passes    # passes that filtered everything
    cdef int32_t* owner         # of each leaf, or MIXED or NOBODY
    cdef uint16_t* label        # of each point; only those of MIXED leaves are true
    cdef Stream* streams        # a top
    cdef Py_ssize_t K
    cdef Py_ssize_t stride_k
    cdef int n_workers
    cdef Worker* workers
    cdef int64_t* sums          # (K, D + 1)
    cdef int32_t* now           # (K, D) centroids of this pass
    cdef int32_t* last          # of the last
    cdef int32_t* origin        # from where slack is measured
    cdef float* step            # how far each centroid moved since the last pass
    cdef float* slack           # how far from its origin it may be,
    cdef float* spread          # and from where it is now
    cdef uint8_t* left          # whether it has just left its slack
    cdef int32_t* place         # its place among candidates: the first of equals wins
    cdef int32_t* planes        # all origins as a candidate list,
    cdef float* plane_slack     # and their slack
    cdef int32_t* packed
    cdef bint have_last
    cdef bint have_lists
    cdef bint in_order          # place is 0, 1, 2...
    cdef filter_fn filter
    cdef own_fn own
    cdef near_fn near

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
                free(self.workers[t].stream.at)
                free(self.workers[t].group.seen)
                free(self.workers[t].sums)
        free(self.workers)
        free(self.sums)
        free(self.now)
        free(self.last)
        free(self.origin)
        free(self.step)
        free(self.slack)
        free(self.spread)
        free(self.left)
        free(self.place)
        free(self.planes)
        free(self.plane_slack)
        free(self.packed)
        self.workers = NULL
        self.sums = NULL
        self.now = self.last = self.origin = self.place = self.planes = self.packed = NULL
        self.step = self.slack = self.spread = self.plane_slack = NULL
        self.left = NULL

    cdef int prepare(self, Py_ssize_t K, int n_threads, int level) except -1:
        """Have memory for K clusters; for a new K every point starts without owner."""
        cdef Py_ssize_t leaf
        cdef int t
        cdef Worker* worker
        self.filter = filter_at(self.D, level)
        self.own = own_at(self.D, level)
        self.near = near_at(self.D, level)
        if self.workers != NULL and K == self.K and n_threads <= self.n_workers:
            return 0
        self.forget_workers()
        self.K = K
        self.stride_k = padded(K)
        self.n_workers = n_threads
        self.have_last = self.have_lists = self.in_order = False
        self.workers = <Worker*> calloc(n_threads, sizeof(Worker))
        self.sums = <int64_t*> calloc(K * (self.D + 1), sizeof(int64_t))
        self.now = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.last = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.origin = <int32_t*> calloc(K * self.D, sizeof(int32_t))
        self.step = <float*> calloc(K, sizeof(float))
        self.slack = <float*> calloc(K, sizeof(float))
        self.spread = <float*> calloc(K, sizeof(float))
        self.left = <uint8_t*> calloc(K, sizeof(uint8_t))
        self.place = <int32_t*> calloc(K, sizeof(int32_t))
        self.planes = <int32_t*> calloc(self.stride_k * PLANES, sizeof(int32_t))
        self.plane_slack = <float*> calloc(self.stride_k, sizeof(float))
        self.packed = <int32_t*> calloc(K * PACK, sizeof(int32_t))
        if (self.workers == NULL or self.sums == NULL or self.now == NULL or self.last == NULL
                or self.origin == NULL or self.step == NULL or self.slack == NULL
                or self.spread == NULL or self.left == NULL or self.place == NULL
                or self.planes == NULL or self.plane_slack == NULL or self.packed == NULL):
            self.forget_workers()
            raise MemoryError
        for t in range(n_threads):
            worker = &self.workers[t]
            worker.lists = <int32_t*> malloc(3 * PLANES * self.stride_k * sizeof(int32_t))
            worker.slacks = <float*> malloc(2 * self.stride_k * sizeof(float))
            worker.work = <int32_t*> malloc(self.stride_k * sizeof(int32_t))
            worker.group.seen = <uint8_t*> calloc(self.stride_k, sizeof(uint8_t))
            worker.sums = <int64_t*> calloc(K * (self.D + 1), sizeof(int64_t))
            if (worker.lists == NULL or worker.slacks == NULL or worker.work == NULL
                    or worker.group.seen == NULL or worker.sums == NULL):
                self.forget_workers()
                raise MemoryError
        for leaf in range(self.leaves.n):
            self.owner[leaf] = NOBODY
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
                    if old != NOBODY:
                        worker.sums[old * width + d] -= self.leaf_sums[leaf * width + d]
                    worker.sums[new * width + d] += self.leaf_sums[leaf * width + d]
                worker.changed += self.leaves.first[leaf + 1] - self.leaves.first[leaf]
            self.owner[leaf] = new

    cdef inline void move(self, Worker* worker, Py_ssize_t i, int32_t old,
                          int32_t new) noexcept nogil:
        move_sums(self.D, self.x + i, self.stride, self.w[i], worker.sums, old, new)
        worker.changed += 1

    cdef void share(self, Worker* worker, Py_ssize_t leaf, const int32_t* ids, int m,
                    int32_t* close) noexcept nogil:
        """Give each point of a leaf to the nearest of m candidates; if there is a `close`, tell
        which points may change hands while all stay within their slack."""
        cdef Py_ssize_t first = self.leaves.first[leaf]
        cdef int n = <int> (self.leaves.first[leaf + 1] - first), i
        cdef int j, n_moved = 0
        cdef int moved[MAX_LEAF]
        cdef int32_t new[MAX_LEAF]
        cdef uint16_t* label = self.label + first
        cdef int32_t old = self.owner[leaf], differ
        cdef bint fresh = old == NOBODY
        if close == NULL:
            self.own(self.x + first, self.stride, n, self.packed, ids, m, label, new, &differ)
        else:
            self.near(self.x + first, self.stride, n, self.packed, ids, m, label,
                      self.pair_spread(ids, m), new, &differ, close)
        if old != MIXED:
            if fresh:   # most points of a leaf have one owner: begin with all of them there
                old = new[n >> 1]
                self.set_owner(worker, leaf, leaf + 1, old)
            for i in range(n):
                label[i] = <uint16_t> old
            self.owner[leaf] = MIXED
            differ = 1
        if differ:
            for i in range(n):      # without a branch: which points change is hard to predict
                moved[n_moved] = i
                n_moved += new[i] != label[i]
            self.make_room(worker, n_moved)
            for j in range(n_moved):
                i = moved[j]
                add_move(worker, self.w, <int32_t> first + i, label[i], new[i])
                label[i] = <uint16_t> new[i]
            if fresh:
                worker.changed -= n_moved   # counted with their leaf

    cdef float pair_spread(self, const int32_t* ids, int m) noexcept nogil:
        """The most that two candidates may move together."""
        cdef float most = 0, second = 0, spread
        cdef int j
        for j in range(m):
            spread = self.spread[ids[j]]
            second = max(second, min(most, spread))
            most = max(most, spread)
        return <float> 1.001 * (most + second)

    cdef int32_t* lengthen(self, Worker* worker, Py_ssize_t more) noexcept nogil:
        """Make room at the end of the worker's stream, or return NULL."""
        cdef Stream* stream = &worker.stream
        cdef Py_ssize_t room
        cdef void* at
        if stream.used + more > stream.room:
            room = stream.room + (stream.room >> 1) + more + 256
            at = realloc(stream.at, room * sizeof(int32_t))
            if at == NULL:
                worker.failed = 1
                return NULL
            stream.at = <int32_t*> at
            stream.room = room
        stream.used += more
        return stream.at + stream.used - more

    cdef void add_close(self, Worker* worker, Py_ssize_t leaf, const int32_t* close,
                        const int32_t* slots, int m, const int32_t* of_mid,
                        int m_mid) noexcept nogil:
        """Add the close points of a leaf, which has candidates in these slots of its mid's list,
        to the group."""
        cdef Py_ssize_t first = self.leaves.first[leaf]
        cdef int n = <int> (self.leaves.first[leaf + 1] - first), n_close = 0, i
        cdef int which[MAX_LEAF]
        for i in range(n):
            which[n_close] = i
            n_close += close[i]
        if n_close == 0:
            return
        if worker.group.n + n_close > MAX_LEAF:
            self.add_group(worker, of_mid, m_mid)
        for i in range(n_close):
            worker.group.point[worker.group.n + i] = <int32_t> first + which[i]
        worker.group.n += n_close
        for i in range(m):
            worker.group.seen[slots[i]] = 1

    cdef void add_group(self, Worker* worker, const int32_t* of_mid, int m_mid) noexcept nogil:
        """Write the group to the stream: n, m, m candidates, n points, and of the points, padded,
        labels and coordinates."""
        cdef int n = worker.group.n, n16 = <int> padded(n), m = 0, i, d
        cdef int32_t* ids
        cdef int32_t* point
        cdef int32_t* x
        cdef uint16_t* label
        if n == 0:
            return
        for i in range(m_mid):
            m += worker.group.seen[i]
        ids = self.lengthen(worker, 2 + m + n16 + (n16 >> 1) + self.D * n16)
        if ids != NULL:
            ids[0] = n
            ids[1] = m
            ids += 2
            point = ids + m
            label = <uint16_t*> (point + n16)
            x = point + n16 + (n16 >> 1)
            m = 0
            for i in range(m_mid):
                if worker.group.seen[i]:
                    ids[m] = of_mid[ID * self.stride_k + i]
                    m += 1
            for i in range(n):
                point[i] = worker.group.point[i]
            for i in range(n, n16):
                point[i] = point[0]
            for i in range(n16):
                label[i] = self.label[point[i]]
            for d in range(self.D):
                for i in range(n16):
                    x[d * n16 + i] = self.x[d * self.stride + point[i]]
        worker.group.n = 0
        memset(worker.group.seen, 0, m_mid)

    cdef void compare_mid(self, Worker* worker, int32_t* at) noexcept nogil:
        """Give the close points of a mid to the nearest of their candidates."""
        cdef int32_t* end = at + at[0]
        cdef int32_t* ids
        cdef int32_t* point
        cdef uint16_t* label
        cdef int32_t new[MAX_LEAF]
        cdef int moved[MAX_LEAF]
        cdef int32_t differ
        cdef int n, n16, m, i, j, n_moved
        at += 2 + at[1]
        while at < end:
            n = at[0]
            n16 = <int> padded(n)
            m = at[1]
            ids = at + 2
            point = ids + m
            label = <uint16_t*> (point + n16)
            at = point + n16 + (n16 >> 1)
            self.own(at, n16, n, self.packed, ids, m, label, new, &differ)
            at += self.D * n16
            if differ:
                n_moved = 0
                for i in range(n):
                    moved[n_moved] = i
                    n_moved += new[i] != label[i]
                self.make_room(worker, n_moved)
                for j in range(n_moved):
                    i = moved[j]
                    add_move(worker, self.w, point[i], label[i], new[i])
                    for m in range(self.D):
                        km_prefetch(&self.x[m * self.stride + point[i]])
                    label[i] = <uint16_t> new[i]
                    self.label[point[i]] = <uint16_t> new[i]

    cdef void make_room(self, Worker* worker, int more) noexcept nogil:
        """Make room for more moves."""
        if worker.n_moves + more > MOVES:
            self.make_moves(worker)

    cdef void make_moves(self, Worker* worker) noexcept nogil:
        """Do what was put off until coordinates and weights have come from memory."""
        cdef int j
        for j in range(worker.n_moves):
            self.move(worker, worker.moves[j].point, worker.moves[j].old, worker.moves[j].new)
        worker.n_moves = 0

    cdef bint reached(self, const int32_t* old, const int32_t* new, int m) noexcept nogil:
        """Whether a centroid that left its slack is among old[0] old candidates or m new ones."""
        cdef int i
        for i in range(1, 1 + old[0]):
            if self.left[old[i]]:
                return True
        for i in range(m):
            if self.left[new[i]]:
                return True
        return False

    cdef void compare_top(self, Worker* worker, Py_ssize_t top) noexcept nogil:
        cdef int32_t* at = self.streams[top].at
        cdef int32_t* end = at + self.streams[top].used
        at += 1 + at[0]
        while at < end:
            self.compare_mid(worker, at)
            at += at[0]

    cdef void filter_top(self, Worker* worker, Py_ssize_t top, bint all_mids) noexcept nogil:
        """Filter the centroids down to the leaves of one top; if not `all_mids`, only where one
        that left its slack was or is a candidate."""
        cdef Py_ssize_t size = PLANES * self.stride_k, k = self.stride_k, mid, start
        cdef int32_t* of_top = worker.lists
        cdef int32_t* of_mid = worker.lists + size
        cdef int32_t* old = NULL
        cdef int32_t* at
        cdef int m_top, m_mid
        cdef Stream swapped
        cdef float* slack = self.plane_slack if self.have_lists else NULL
        cdef float* of_top_slack = worker.slacks if self.have_lists else NULL
        self.filter(self.planes, slack, k, <int> self.K, self.tops.low + 4 * top,
                    self.tops.high + 4 * top, of_top, worker.slacks, worker.work, &m_top)
        if not all_mids:
            old = self.streams[top].at
            if not self.reached(old, of_top + ID * k, m_top):
                self.compare_top(worker, top)
                return
            old += 1 + old[0]
        worker.stream.used = 0
        if self.have_lists:
            at = self.lengthen(worker, 1 + m_top)
            if at != NULL:
                at[0] = m_top
                memcpy(at + 1, of_top + ID * k, m_top * sizeof(int32_t))
        for mid in range(self.tops.first[top], self.tops.first[top + 1]):
            self.filter(of_top, of_top_slack, k, m_top, self.mids.low + 4 * mid,
                        self.mids.high + 4 * mid, of_mid, worker.slacks + k, worker.work, &m_mid)
            if old != NULL:
                at = old
                old += old[0]
                if not self.reached(at + 1, of_mid + ID * k, m_mid):
                    self.compare_mid(worker, at)
                    self.keep_mid(worker, at)
                    continue
            start = worker.stream.used
            if self.have_lists:
                at = self.lengthen(worker, 2 + m_mid)
                if at != NULL:
                    at[1] = m_mid
                    memcpy(at + 2, of_mid + ID * k, m_mid * sizeof(int32_t))
            if m_mid == 1:
                self.set_owner(worker, self.mids.first[mid], self.mids.first[mid + 1],
                               of_mid[ID * k])
            else:
                self.filter_mid(worker, mid, of_mid, m_mid)
            if self.have_lists and not worker.failed:
                worker.stream.at[start] = <int32_t> (worker.stream.used - start)
        if self.have_lists:
            swapped = self.streams[top]
            self.streams[top] = worker.stream
            worker.stream = swapped

    cdef Py_ssize_t remembered(self) noexcept nogil:
        """Words of close points."""
        cdef Py_ssize_t top, words = 0
        for top in range(self.tops.n):
            words += self.streams[top].used
        return words

    cdef void keep_mid(self, Worker* worker, const int32_t* mid) noexcept nogil:
        cdef int32_t* at = self.lengthen(worker, mid[0])
        if at != NULL:
            memcpy(at, mid, mid[0] * sizeof(int32_t))

    cdef void filter_mid(self, Worker* worker, Py_ssize_t mid, int32_t* of_mid,
                         int m_mid) noexcept nogil:
        cdef Py_ssize_t k = self.stride_k, leaf
        cdef int32_t* of_leaf = of_mid + PLANES * k
        cdef int32_t close[MAX_LEAF]
        cdef float* slack = worker.slacks + k if self.have_lists else NULL
        cdef int m
        for leaf in range(self.mids.first[mid], self.mids.first[mid + 1]):
            self.filter(of_mid, slack, k, m_mid, self.leaves.low + 4 * leaf,
                        self.leaves.high + 4 * leaf, of_leaf, NULL, worker.work, &m)
            if m == 1:
                self.set_owner(worker, leaf, leaf + 1, of_leaf[ID * k])
            elif self.have_lists:
                self.share(worker, leaf, of_leaf + ID * k, m, close)
                self.add_close(worker, leaf, close, worker.work, m, of_mid, m_mid)
            else:
                self.share(worker, leaf, of_leaf + ID * k, m, NULL)
        self.add_group(worker, of_mid, m_mid)

    cdef void pass_top(self, Worker* worker, Py_ssize_t top, int work) noexcept nogil:
        """Bring the owners of one top's points up to date."""
        if work == BORDERS:
            self.compare_top(worker, top)
        else:
            self.filter_top(worker, top, work == ALL)
        self.make_moves(worker)

    cdef int plan(self, bint passing) noexcept nogil:
        """Decide what a pass has to do, and where slack is measured from now on.

        Slack is for some steps like a centroid's last one. If steps are a large part of the
        clusters' size, filtering each time is cheaper: nobody has slack then, nor if the
        assignment is a `passing` one.
        """
        cdef Py_ssize_t k, n_left = 0
        cdef float mean = 0, given = 0, wanted = 0, drift
        cdef int d
        for k in range(self.K):
            self.step[k] = distance(self.now + k * self.D, self.last + k * self.D, self.D)
            mean += self.step[k] / <float> self.K
        if self.have_lists:
            for k in range(self.K):
                drift = distance(self.now + k * self.D, self.origin + k * self.D, self.D)
                self.left[k] = drift > 0 and drift >= self.slack[k]
                n_left += self.left[k]
                self.spread[k] = self.slack[k] + drift
                given += self.slack[k]
                wanted += self.slack_for(k)
            if n_left == 0:
                return BORDERS
            if <float> n_left <= MANY * <float> self.K and given < 3 * wanted:
                for k in range(self.K):
                    if self.left[k]:
                        self.set_origin(k, self.slack_for(k))
                return SOME
        self.have_lists = False
        if self.have_last and not passing:
            self.have_lists = PATIENCE * mean < ROOM * self.radius()
        for k in range(self.K):
            self.set_origin(k, self.slack_for(k) if self.have_lists else 0)
        for k in range(self.K, self.stride_k):
            memcpy(self.plane_slack + k, self.plane_slack, sizeof(float))
            self.planes[ID * self.stride_k + k] = self.planes[ID * self.stride_k]
        for d in range(self.D):
            for k in range(self.K, self.stride_k):
                self.planes[d * self.stride_k + k] = self.planes[d * self.stride_k]
        self.full_passes += 1
        return ALL

    cdef inline float slack_for(self, Py_ssize_t k) noexcept nogil:
        return LEAST + PATIENCE * self.step[k]

    cdef void set_origin(self, Py_ssize_t k, float slack) noexcept nogil:
        cdef int d
        for d in range(self.D):
            self.origin[k * self.D + d] = self.now[k * self.D + d]
            self.planes[d * self.stride_k + self.place[k]] = self.now[k * self.D + d]
        self.planes[ID * self.stride_k + self.place[k]] = <int32_t> k
        self.plane_slack[self.place[k]] = slack
        self.slack[k] = self.spread[k] = slack

    cdef float radius(self) noexcept nogil:
        """The root of the mean squared distance to the centroids of the last pass, in float32 a
        mere estimate."""
        cdef double inside = 0, weight = 0, mass, part
        cdef Py_ssize_t k
        cdef int d
        for k in range(self.K):
            mass = <double> self.sums[k * (self.D + 1) + self.D]
            if mass > 0:
                weight += mass
                for d in range(self.D):
                    part = <double> self.sums[k * (self.D + 1) + d]
                    inside += part * part / mass
        inside = 32768.0 * <double> self.squares_high + <double> self.squares_low - inside
        return <float> sqrt(max(0.0, inside) / weight)

    cdef int64_t one_pass(self, const uint16_t* order, int n_threads) noexcept nogil:
        """Bring owners and sums up to date with `now`; return how many points changed hands.

        With an `order` of the centroids, ties go to the first in it.
        """
        cdef Py_ssize_t k, top, i, K = self.K
        cdef int t, D = self.D, work
        cdef int64_t changed = 0
        for k in range(K):
            pack_centroid(self.packed + PACK * k, self.now + k * D, D)
        if order != NULL or not self.in_order:
            for k in range(K):
                self.place[order[k] if order != NULL else k] = <int32_t> k
            self.in_order = order == NULL
            self.have_lists = False
        work = self.plan(order != NULL)
        if n_threads == 1 or work == BORDERS and self.remembered() < WORTH:
            for top in range(self.tops.n):
                self.pass_top(&self.workers[0], top, work)
        else:
            for top in prange(self.tops.n, num_threads=n_threads, schedule="dynamic", chunksize=4):
                self.pass_top(&self.workers[threadid()], top, work)
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
               int n_threads, int level,
               const uint16_t[::1] order=None):                 # IN (K,) a permutation
        """Give every point to the first of its nearest centroids, in `order`, if there is one;
        return how many changed.
        """
        cdef int64_t changed
        cdef const uint16_t* places = NULL
        self.prepare(centroids.shape[0], n_threads, level)
        if order is not None:
            places = &order[0]
        with nogil:
            memcpy(self.now, &centroids[0, 0], self.K * self.D * sizeof(int32_t))
            changed = self.one_pass(places, n_threads)
            memcpy(&sums[0, 0], self.sums, self.K * (self.D + 1) * sizeof(int64_t))
        return changed

    def iterate(self, int32_t[:, ::1] centroids not None,       # INOUT (K, D)
                int64_t[:, ::1] sums not None,                  # OUT (K, D + 1)
                Py_ssize_t passes, int n_threads, int level,
                Py_ssize_t fixed=0):
        """Assign and move centroids to their means, up to `passes` times; the first `fixed` stay.

        Stops before a move if another cluster is empty, and after a pass in which no centroid
        moved.
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
                self.one_pass(NULL, n_threads)
                for k in range(fixed, self.K):
                    if self.sums[k * (D + 1) + D] == 0:
                        state = 2
                if state == 2:
                    break
                moved = False
                for k in range(fixed, self.K):
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

    def labels(self, uint16_t[::1] out not None,        # OUT (n,)
               const uint16_t[::1] names=None,          # IN (K,)
               int n_threads=1):
        """Write the owner that the last pass gave each point, or that owner's name."""
        cdef Py_ssize_t top
        cdef const uint16_t* name = NULL
        cdef uint16_t* to = &out[0]
        if names is not None:
            name = &names[0]
        if n_threads == 1:
            with nogil:
                for top in range(self.tops.n):
                    self.label_top(top, name, to)
            return
        for top in prange(self.tops.n, num_threads=n_threads, schedule="dynamic",
                          chunksize=4, nogil=True):
            self.label_top(top, name, to)

    cdef void label_top(self, Py_ssize_t top, const uint16_t* name, uint16_t* out) noexcept nogil:
        cdef Py_ssize_t leaf, first, last, i
        cdef uint16_t owner
        for leaf in range(self.mids.first[self.tops.first[top]],
                          self.mids.first[self.tops.first[top + 1]]):
            first = self.leaves.first[leaf]
            last = self.leaves.first[leaf + 1]
            if self.owner[leaf] != MIXED:
                owner = <uint16_t> self.owner[leaf]
                owner = owner if name == NULL else name[owner]
                for i in range(first, last):
                    out[i] = owner
            elif name == NULL:
                memcpy(out + first, self.label + first, (last - first) * sizeof(uint16_t))
            else:
                for i in range(first, last):
                    out[i] = name[self.label[i]]

    def worst(self, int n_threads=1):
        """Return (point, cost): the largest weight (at most 2^33 - 1) times squared distance to its
        centroid.

        The first of equals.
        """
        cdef Py_ssize_t top, at = 0
        cdef int t
        cdef int64_t most = -1
        n_threads = min(n_threads, self.n_workers)
        for t in range(n_threads):
            self.workers[t].cost = -1
        if n_threads == 1:
            with nogil:
                for top in range(self.tops.n):
                    self.cost_top(&self.workers[0], top)
        else:
            for top in prange(self.tops.n, num_threads=n_threads, schedule="dynamic",
                              chunksize=4, nogil=True):
                self.cost_top(&self.workers[threadid()], top)
        for t in range(n_threads):
            if self.workers[t].cost > most or (
                    self.workers[t].cost == most and self.workers[t].costliest < at):
                most = self.workers[t].cost
                at = self.workers[t].costliest
        return at, most

    cdef void cost_top(self, Worker* worker, Py_ssize_t top) noexcept nogil:
        """Find the costliest point of a top; a thread meets its tops in ascending order."""
        cdef Py_ssize_t leaf, i
        cdef int d
        cdef int64_t cost, delta
        cdef int32_t k
        for leaf in range(self.mids.first[self.tops.first[top]],
                          self.mids.first[self.tops.first[top + 1]]):
            for i in range(self.leaves.first[leaf], self.leaves.first[leaf + 1]):
                k = self.label[i] if self.owner[leaf] == MIXED else self.owner[leaf]
                cost = 0
                for d in range(self.D):
                    delta = self.x[d * self.stride + i] - self.last[k * self.D + d]
                    cost += delta * delta
                cost *= min(self.w[i], <int64_t> ((<int64_t> 1 << 33) - 1))
                if cost > worker.cost:
                    worker.cost = cost
                    worker.costliest = i

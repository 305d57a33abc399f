# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Swap search: a partition of a few thousand weighted points, improved by moving one centroid at a
time to where it is worth more (random swap, Franti 2018, made local and greedy).

A trial dissolves one cluster into its neighbours, cuts another in two along its axis of largest
variance (Orchard & Bouman 1991), and lets Lloyd's algorithm run among the clusters around both
places until nothing moves or no gain is in sight. Trials of a round start from the same partition
and are run by any number of threads, each on a copy; those that lower the error and touch different
clusters are then made in all the copies.

Points may be opaque colours, of fourth coordinate `top`, and others. Opaque points change to opaque
clusters alone, those whose centroid has that fourth coordinate; and a cluster with an opaque member
is opaque, whatever the mean of its members' fourth coordinates is.

Nothing depends on the order in which members of a cluster are met: what is added up is integers,
and clusters are visited by number. So the result is the same for every number of threads.
"""

cimport cython
from cython.parallel cimport prange, threadid
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from kmeans_c._kernels.nearest cimport MAX_LEAF, PACK, own_at, own_fn, pack_centroid

cdef enum:
    NEAR = 16           # clusters that a member may change to: 10 to 24 tried, little difference
    SPREAD = 6          # neighbours of a moved centroid whose members look around: 4 to 9 tried
    TRIALS = 16         # of a round, at most
    SETTLE = 12         # passes of a trial, at most
    EARLY = 3           # passes after which a gain is taken: what is moved less is less in the way
    TURNS = 6           # of the power iteration
    CUTS = 3            # steps to the best cut of an axis
    AXIS = 1 << 12      # largest component of an axis

# A trial ends when what its error lacks is more than so many times what the last pass gained: each
# pass gains less than the one before, by about a fifth.
cdef double HOPE = 4
# What a cluster's turn is put off by after a trial in vain.
cdef double WEARY = 1.2


cdef struct Sums:
    int64_t s[4]        # of w x
    int64_t w
    int64_t q           # of w |x|^2
    int64_t opaque      # of the w of opaque members


cdef struct Copy:       # of the partition, for one thread
    int32_t* owner      # of each point
    int32_t* next       # member of the same cluster, or -1
    int32_t* prev       # -1 for the first
    int32_t* head       # of each cluster
    Sums* sums
    Sums* before        # those of touched clusters as they were before the trial
    int32_t* centre     # 4 coordinates a cluster
    int32_t* packed
    uint8_t* touched    # clusters whose members this trial has changed
    uint8_t* moved      # clusters whose centroid has moved in the last pass
    uint8_t* todo
    uint8_t* logged     # points that this trial has moved
    int32_t* log        # these points
    int32_t* old        # and their owners before
    Py_ssize_t n_log
    int64_t work


cdef struct Cut:
    int32_t axis[4]     # of the largest variance
    int64_t at          # members beyond go
    double gain         # by which the error falls along the axis; 0: cannot be cut


cdef struct Trial:
    int32_t cut         # the cluster that is cut in two
    int32_t dissolved   # the one that is dissolved, and then the second half
    double change       # of the error
    int32_t* point      # what moves
    int32_t* owner      # to where
    Py_ssize_t n
    uint8_t* touched
    int64_t work


cdef inline uint64_t next_random(uint64_t* state) noexcept nogil:
    """Splitmix64 (Steele, Lea & Flood 2014)."""
    cdef uint64_t z
    state[0] += <uint64_t> 0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline double error_around_mean(const Sums* sums, int D) noexcept nogil:
    """The sum of w |x - mean|^2."""
    cdef double inside = <double> sums.q, weight = <double> sums.w
    cdef int d
    if sums.w == 0:
        return 0
    for d in range(D):
        inside -= <double> sums.s[d] * <double> sums.s[d] / weight
    return inside


cdef inline double error_around(const int32_t* centre, const Sums* sums, int D) noexcept nogil:
    """The sum of w |x - centre|^2."""
    cdef int64_t total = sums.q
    cdef int d
    for d in range(D):
        total += centre[d] * (sums.w * centre[d] - 2 * sums.s[d])
    return <double> total


cdef inline double error_of_opaque(const Sums* sums, int32_t top) noexcept nogil:
    """The sum of w |x - mean|^2, where the mean's fourth coordinate is `top`."""
    cdef double inside = <double> sums.q, weight = <double> sums.w
    cdef int d
    for d in range(3):
        inside -= <double> sums.s[d] * <double> sums.s[d] / weight
    return inside + <double> (top * (top * sums.w - 2 * sums.s[3]))


@cython.final
cdef class Search:
    """Weighted points and their partition.

    Parameters
    ----------
    points : (D, at least N) with D 3 or 4, values 0..16383
    masses : (N,) above 0, their sum below 2^31
    fixed : (F, D) centroids of the first clusters, which stay where they are
    room : clusters at most, more than F
    seed : of what is left to chance
    n_threads : of the rounds
    level : SIMD level
    opaque : (N,) 1 where a point is an opaque colour; at least one is, and D is 4
    top : the fourth coordinate of opaque colours
    """

    cdef const int64_t[::1] masses
    cdef const int64_t* w
    cdef int32_t* x         # 4 coordinates a point: members of a cluster stand anywhere
    cdef int D
    cdef int n_threads
    cdef readonly Py_ssize_t N
    cdef readonly Py_ssize_t K
    cdef Py_ssize_t fixed
    cdef Py_ssize_t room
    cdef const uint8_t[::1] flags
    cdef const uint8_t* opaque  # of each point, or NULL
    cdef int32_t top
    cdef int64_t* q
    cdef Copy* copies
    cdef Trial* trials
    cdef int chosen[TRIALS]
    cdef int32_t* near      # NEAR a cluster, itself first
    cdef int32_t* n_near
    cdef Cut* cuts          # how each cluster would best be cut in two
    cdef double* loss       # by which a merger with a neighbour would raise it
    cdef double* tired      # grows with the trials in vain
    cdef own_fn own
    cdef readonly int64_t work      # distances computed so far
    cdef readonly Py_ssize_t tried
    cdef readonly Py_ssize_t accepted
    cdef uint64_t state

    def __cinit__(self, const int32_t[:, :] points not None, const int64_t[::1] masses not None,
                  const int32_t[:, ::1] fixed not None, Py_ssize_t room, uint64_t seed,
                  int n_threads, int level, const uint8_t[::1] opaque=None, int32_t top=0):
        cdef Py_ssize_t i
        cdef int32_t c
        cdef int d, t
        self.flags = opaque
        self.opaque = NULL if opaque is None else &opaque[0]
        self.top = top
        self.masses = masses
        self.w = &masses[0]
        self.D = <int> points.shape[0]
        self.fixed = fixed.shape[0]
        self.n_threads = n_threads
        self.N = masses.shape[0]
        self.room = room
        self.state = seed
        self.own = own_at(self.D, level)
        self.copies = <Copy*> calloc(n_threads, sizeof(Copy))
        self.trials = <Trial*> calloc(TRIALS, sizeof(Trial))
        self.x = <int32_t*> calloc(4 * self.N, sizeof(int32_t))
        self.q = <int64_t*> calloc(self.N, sizeof(int64_t))
        self.near = <int32_t*> calloc(room * NEAR, sizeof(int32_t))
        self.n_near = <int32_t*> calloc(room, sizeof(int32_t))
        self.cuts = <Cut*> calloc(room, sizeof(Cut))
        self.loss = <double*> calloc(room, sizeof(double))
        self.tired = <double*> calloc(room, sizeof(double))
        if (self.copies == NULL or self.trials == NULL or self.x == NULL or self.q == NULL
                or self.near == NULL
                or self.n_near == NULL or self.cuts == NULL or self.loss == NULL
                or self.tired == NULL):
            raise MemoryError
        for t in range(n_threads):
            if self.allocate(&self.copies[t]):
                raise MemoryError
        for t in range(TRIALS):
            self.trials[t].point = <int32_t*> malloc(self.N * sizeof(int32_t))
            self.trials[t].owner = <int32_t*> malloc(self.N * sizeof(int32_t))
            self.trials[t].touched = <uint8_t*> calloc(room, 1)
            if (self.trials[t].point == NULL or self.trials[t].owner == NULL
                    or self.trials[t].touched == NULL):
                raise MemoryError
        for i in range(self.N):
            for d in range(self.D):
                self.x[4 * i + d] = points[d, i]
                self.q[i] += self.w[i] * points[d, i] * points[d, i]
        for t in range(n_threads):
            for c in range(<int32_t> self.fixed):
                for d in range(self.D):
                    self.copies[t].centre[4 * c + d] = fixed[c, d]
                pack_centroid(self.copies[t].packed + PACK * c, self.copies[t].centre + 4 * c,
                              self.D)
        self.K = self.fixed + 1
        for i in range(self.N):
            self.put(&self.copies[0], <int32_t> i, <int32_t> self.fixed)
        self.recentre(&self.copies[0], <int32_t> self.fixed)

    cdef int allocate(self, Copy* copy) noexcept nogil:
        cdef Py_ssize_t c
        copy.owner = <int32_t*> calloc(self.N, sizeof(int32_t))
        copy.next = <int32_t*> malloc(self.N * sizeof(int32_t))
        copy.prev = <int32_t*> malloc(self.N * sizeof(int32_t))
        copy.log = <int32_t*> malloc(self.N * sizeof(int32_t))
        copy.old = <int32_t*> malloc(self.N * sizeof(int32_t))
        copy.logged = <uint8_t*> calloc(self.N, 1)
        copy.head = <int32_t*> malloc(self.room * sizeof(int32_t))
        copy.sums = <Sums*> calloc(self.room, sizeof(Sums))
        copy.before = <Sums*> calloc(self.room, sizeof(Sums))
        copy.centre = <int32_t*> calloc(self.room * 4, sizeof(int32_t))
        copy.packed = <int32_t*> calloc(self.room * PACK, sizeof(int32_t))
        copy.touched = <uint8_t*> calloc(self.room, 1)
        copy.moved = <uint8_t*> calloc(self.room, 1)
        copy.todo = <uint8_t*> calloc(self.room, 1)
        if (copy.owner == NULL or copy.next == NULL or copy.prev == NULL or copy.log == NULL
                or copy.old == NULL or copy.logged == NULL or copy.head == NULL
                or copy.sums == NULL or copy.before == NULL or copy.centre == NULL
                or copy.packed == NULL or copy.touched == NULL or copy.moved == NULL
                or copy.todo == NULL):
            return -1
        for c in range(self.room):
            copy.head[c] = -1
        return 0

    def __dealloc__(self):
        cdef int t
        cdef Copy* copy
        if self.copies != NULL:
            for t in range(self.n_threads):
                copy = &self.copies[t]
                free(copy.owner)
                free(copy.next)
                free(copy.prev)
                free(copy.log)
                free(copy.old)
                free(copy.logged)
                free(copy.head)
                free(copy.sums)
                free(copy.before)
                free(copy.centre)
                free(copy.packed)
                free(copy.touched)
                free(copy.moved)
                free(copy.todo)
        if self.trials != NULL:
            for t in range(TRIALS):
                free(self.trials[t].point)
                free(self.trials[t].owner)
                free(self.trials[t].touched)
        free(self.copies)
        free(self.trials)
        free(self.x)
        free(self.q)
        free(self.near)
        free(self.n_near)
        free(self.cuts)
        free(self.loss)
        free(self.tired)

    # ---- members, sums and centroids

    cdef void put(self, Copy* copy, int32_t i, int32_t c) noexcept nogil:
        cdef int d
        cdef int32_t first = copy.head[c]
        cdef Sums* sums = &copy.sums[c]
        copy.owner[i] = c
        copy.next[i] = first
        copy.prev[i] = -1
        if first >= 0:
            copy.prev[first] = i
        copy.head[c] = i
        for d in range(self.D):
            sums.s[d] += self.w[i] * self.x[4 * i + d]
        sums.w += self.w[i]
        sums.q += self.q[i]
        if self.opaque != NULL and self.opaque[i]:
            sums.opaque += self.w[i]

    cdef void take(self, Copy* copy, int32_t i) noexcept nogil:
        cdef int d
        cdef int32_t c = copy.owner[i]
        cdef Sums* sums = &copy.sums[c]
        if copy.prev[i] >= 0:
            copy.next[copy.prev[i]] = copy.next[i]
        else:
            copy.head[c] = copy.next[i]
        if copy.next[i] >= 0:
            copy.prev[copy.next[i]] = copy.prev[i]
        for d in range(self.D):
            sums.s[d] -= self.w[i] * self.x[4 * i + d]
        sums.w -= self.w[i]
        sums.q -= self.q[i]
        if self.opaque != NULL and self.opaque[i]:
            sums.opaque -= self.w[i]

    cdef inline void touch(self, Copy* copy, int32_t c) noexcept nogil:
        if not copy.touched[c]:
            copy.touched[c] = 1
            copy.before[c] = copy.sums[c]

    cdef void move(self, Copy* copy, int32_t i, int32_t c) noexcept nogil:
        self.touch(copy, copy.owner[i])
        self.touch(copy, c)
        if not copy.logged[i]:
            copy.logged[i] = 1
            copy.log[copy.n_log] = i
            copy.old[copy.n_log] = copy.owner[i]
            copy.n_log += 1
        self.take(copy, i)
        self.put(copy, i, c)

    cdef void forget(self, Copy* copy) noexcept nogil:
        """Take what was done since as done."""
        cdef Py_ssize_t i
        for i in range(copy.n_log):
            copy.logged[copy.log[i]] = 0
        copy.n_log = 0
        memset(copy.touched, 0, self.K)

    cdef bint recentre(self, Copy* copy, int32_t c) noexcept nogil:
        """Move a centroid to the mean of its members; return whether that is elsewhere."""
        cdef int d
        cdef int32_t mean
        cdef bint moved = False
        cdef Sums* sums = &copy.sums[c]
        if sums.w == 0 or c < self.fixed:
            return False
        for d in range(self.D):
            mean = <int32_t> ((2 * sums.s[d] + sums.w) // (2 * sums.w))
            if d == 3 and sums.opaque:
                mean = self.top
            moved = moved or mean != copy.centre[4 * c + d]
            copy.centre[4 * c + d] = mean
        if moved:
            pack_centroid(copy.packed + PACK * c, copy.centre + 4 * c, self.D)
        return moved

    cdef double error_of(self, Copy* copy, int32_t c, const Sums* sums) noexcept nogil:
        if c < self.fixed:
            return error_around(copy.centre + 4 * c, sums, self.D)
        return self.error_within(sums)

    cdef double error_within(self, const Sums* sums) noexcept nogil:
        """The error of a cluster that is free to move."""
        if sums.opaque:
            return error_of_opaque(sums, self.top)
        return error_around_mean(sums, self.D)

    cdef void recentre_touched(self, Copy* copy) noexcept nogil:
        cdef int32_t c
        for c in range(<int32_t> self.K):
            copy.moved[c] = copy.touched[c] and self.recentre(copy, c)

    cdef void share(self, Copy* copy, int32_t c, const int32_t* ids, int m) noexcept nogil:
        """Give each member of c to the nearest of m clusters that it may change to; it stays where
        there is none."""
        cdef int32_t solid[NEAR + 1]
        cdef int j, n = 0
        if self.opaque != NULL and copy.sums[c].opaque:
            for j in range(m):
                if copy.centre[4 * ids[j] + 3] == self.top:
                    solid[n] = ids[j]
                    n += 1
            if copy.sums[c].opaque < copy.sums[c].w:
                self.share_mixed(copy, c, ids, m, solid, n)
            else:
                self.share_all(copy, c, solid, n, m)
        else:
            self.share_all(copy, c, ids, m, m)

    cdef void share_all(self, Copy* copy, int32_t c, const int32_t* ids, int m,
                        int charged) noexcept nogil:
        """Give each member of c to the nearest of m clusters, for the price of so many."""
        cdef int32_t member[MAX_LEAF]
        cdef int32_t x[4 * MAX_LEAF]
        cdef int32_t following, i = copy.head[c]
        cdef int n, d
        if m < 2:
            while m and ids[0] != c and i >= 0:
                following = copy.next[i]
                self.move(copy, i, ids[0])
                i = following
            return
        while i >= 0:
            n = 0
            while i >= 0 and n < MAX_LEAF:
                member[n] = i
                for d in range(self.D):
                    x[d * MAX_LEAF + n] = self.x[4 * i + d]
                n += 1
                i = copy.next[i]
            self.share_some(copy, c, member, x, n, ids, m, charged)

    cdef void share_mixed(self, Copy* copy, int32_t c, const int32_t* ids, int m,
                          const int32_t* solid, int n_solid) noexcept nogil:
        """Give each opaque member of c to the nearest of some clusters, each other of m."""
        cdef int32_t member[2][MAX_LEAF]
        cdef int32_t x[2][4 * MAX_LEAF]
        cdef int32_t at, i = copy.head[c]
        cdef int n[2]
        cdef int d, which
        n[0] = n[1] = 0
        while i >= 0:
            at = i
            i = copy.next[i]
            which = self.opaque[at]
            member[which][n[which]] = at
            for d in range(self.D):
                x[which][d * MAX_LEAF + n[which]] = self.x[4 * at + d]
            n[which] += 1
            if n[which] == MAX_LEAF or i < 0:
                if n[0] and m and (n[0] == MAX_LEAF or i < 0):
                    self.share_some(copy, c, member[0], x[0], n[0], ids, m, m)
                if n[1] and n_solid and (n[1] == MAX_LEAF or i < 0):
                    self.share_some(copy, c, member[1], x[1], n[1], solid, n_solid, m)
                n[which] = 0

    cdef void share_some(self, Copy* copy, int32_t c, const int32_t* member, int32_t* x, int n,
                         const int32_t* ids, int m, int charged) noexcept nogil:
        """Give n members of c to the nearest of m clusters, for the price of so many."""
        cdef uint16_t label[MAX_LEAF]
        cdef int32_t new[MAX_LEAF]
        cdef int32_t differ
        cdef int j, d, end = (n + 15) & ~15
        for j in range(end):
            label[j] = <uint16_t> c
        for j in range(n, end):
            for d in range(self.D):
                x[d * MAX_LEAF + j] = 0
        self.own(x, MAX_LEAF, n, copy.packed, ids, m, label, new, &differ)
        # Opaque members have fewer clusters to go to and come in shorter lists, which take as long.
        copy.work += (n if self.opaque == NULL else (n + 7) & ~7) * charged
        if differ:
            for j in range(n):
                if new[j] != c:
                    self.move(copy, member[j], new[j])

    # ---- cuts

    cdef void find_cut(self, int32_t c) noexcept nogil:
        """Find how c is best cut in two: along the axis of its largest variance, or between its
        opaque members and the others."""
        cdef Copy* copy = &self.copies[0]
        cdef Cut* cut = &self.cuts[c]
        cdef Cut other
        self.find_axis_cut(c)
        if copy.sums[c].opaque == 0 or copy.sums[c].opaque == copy.sums[c].w:
            return
        if cut.gain > 0:
            cut.gain = self.gain_of(copy, c, cut)
        self.cut_opaque(copy, c, &other)
        if other.gain > cut.gain:
            cut[0] = other

    cdef void cut_opaque(self, Copy* copy, int32_t c, Cut* cut) noexcept nogil:
        """The cut between opaque members and others."""
        cdef int d
        for d in range(3):
            cut.axis[d] = 0
        cut.axis[3] = AXIS
        cut.at = <int64_t> AXIS * self.top - 1
        cut.gain = self.gain_of(copy, c, cut)

    cdef double gain_of(self, Copy* copy, int32_t c, const Cut* cut) noexcept nogil:
        """By how much a cut lowers the error."""
        cdef Sums parts[2]
        cdef Sums* part
        cdef int32_t i = copy.head[c]
        cdef int64_t t
        cdef int d
        memset(parts, 0, sizeof(parts))
        while i >= 0:
            t = 0
            for d in range(self.D):
                t += <int64_t> cut.axis[d] * self.x[4 * i + d]
            part = &parts[t > cut.at]
            for d in range(self.D):
                part.s[d] += self.w[i] * self.x[4 * i + d]
            part.w += self.w[i]
            part.q += self.q[i]
            if self.opaque[i]:
                part.opaque += self.w[i]
            i = copy.next[i]
        if parts[0].w == 0 or parts[1].w == 0:
            return 0
        return (self.error_within(&copy.sums[c]) - self.error_within(&parts[0])
                - self.error_within(&parts[1]))

    cdef void find_axis_cut(self, int32_t c) noexcept nogil:
        """Find the axis of c's largest variance, and where on it a cut gains most."""
        cdef Copy* copy = &self.copies[0]
        cdef Cut* cut = &self.cuts[c]
        cdef int64_t cov[4][4]
        cdef int64_t mean[4]
        cdef int64_t w, t, lower_w, lower_s, upper_w, upper_s
        cdef double turned[4]
        cdef double now[4]
        cdef double most, length = 0, apart, gain = 0
        cdef int d, e, step, _, D = self.D
        cdef int32_t i
        cdef Sums* sums = &copy.sums[c]
        cut.gain = 0
        if sums.w == 0:
            return
        for d in range(D):
            mean[d] = copy.centre[4 * c + d]
            for e in range(D):
                cov[d][e] = 0
        i = copy.head[c]
        while i >= 0:
            for d in range(D):
                w = self.w[i] * (self.x[4 * i + d] - mean[d])
                for e in range(d + 1):
                    cov[d][e] += w * (self.x[4 * i + e] - mean[e])
            i = copy.next[i]
        e = 0
        for d in range(1, D):
            if cov[d][d] > cov[e][e]:
                e = d
        if cov[e][e] <= 0:
            return
        for d in range(D):
            now[d] = <double> (cov[d][e] if d >= e else cov[e][d])
        for _ in range(TURNS):
            most = 0
            for d in range(D):
                most = max(most, fabs(now[d]))
            for d in range(D):
                turned[d] = 0
                for e in range(D):
                    turned[d] += <double> (cov[d][e] if d >= e else cov[e][d]) * (now[e] / most)
            for d in range(D):
                now[d] = turned[d]
        most = 0
        for d in range(D):
            most = max(most, fabs(now[d]))
        cut.at = 0
        for d in range(D):
            cut.axis[d] = <int32_t> (AXIS * (now[d] / most))
            length += <double> cut.axis[d] * cut.axis[d]
            cut.at += cut.axis[d] * mean[d]
        for step in range(CUTS):
            lower_w = lower_s = upper_w = upper_s = 0
            i = copy.head[c]
            while i >= 0:
                t = 0
                for d in range(D):
                    t += <int64_t> cut.axis[d] * self.x[4 * i + d]
                if t > cut.at:
                    upper_w += self.w[i]
                    upper_s += self.w[i] * t
                else:
                    lower_w += self.w[i]
                    lower_s += self.w[i] * t
                i = copy.next[i]
            if lower_w == 0 or upper_w == 0:
                return
            apart = <double> upper_s / <double> upper_w - <double> lower_s / <double> lower_w
            gain = apart * apart * (<double> lower_w * <double> upper_w
                                    / (<double> sums.w * length))
            if step < CUTS - 1:
                cut.at = (lower_s // lower_w + upper_s // upper_w) // 2
        cut.gain = gain

    cdef void cut(self, Copy* copy, int32_t a, int32_t b) noexcept nogil:
        """Move the members of a that lie beyond its cut to b."""
        cdef const Cut* cut = &self.cuts[a]
        cdef int32_t i = copy.head[a], following
        cdef int64_t t
        cdef int d
        while i >= 0:
            following = copy.next[i]
            t = 0
            for d in range(self.D):
                t += <int64_t> cut.axis[d] * self.x[4 * i + d]
            if t > cut.at:
                self.move(copy, i, b)
            i = following

    # ---- neighbourhoods

    cdef void find_near(self, int32_t c) noexcept nogil:
        cdef int32_t best[NEAR]
        cdef int32_t* who = self.near + NEAR * c
        cdef Copy* copy = &self.copies[0]
        cdef int n = 0, j, d
        cdef int32_t k, distance, delta
        for k in range(<int32_t> self.K):
            distance = 0
            for d in range(self.D):
                delta = copy.centre[4 * k + d] - copy.centre[4 * c + d]
                distance += delta * delta
            if k == c:
                distance = -1
            if ((copy.sums[k].w == 0 and k >= self.fixed)
                    or (n == NEAR and distance >= best[NEAR - 1])):
                continue
            j = n if n < NEAR else NEAR - 1
            while j > 0 and best[j - 1] > distance:
                best[j] = best[j - 1]
                who[j] = who[j - 1]
                j -= 1
            best[j] = distance
            who[j] = k
            n = min(n + 1, <int> NEAR)
        self.n_near[c] = n

    cdef void rate(self, int32_t c) noexcept nogil:
        """What cutting c would gain, and what merging it with a neighbour would lose (Ward
        1963)."""
        cdef Copy* copy = &self.copies[0]
        cdef double least = -1, distance, delta, loss, depth
        cdef bint solid
        cdef double mine = <double> copy.sums[c].w, others
        cdef int j, d
        cdef int32_t k
        self.cuts[c].gain = 0
        self.loss[c] = -1
        if c < self.fixed:
            return
        self.find_cut(c)
        for j in range(1, self.n_near[c]):
            k = self.near[NEAR * c + j]
            solid = self.opaque != NULL and copy.centre[4 * k + 3] == self.top
            if copy.sums[c].opaque and not solid:
                continue
            distance = 0
            for d in range(self.D):
                delta = copy.centre[4 * k + d] - copy.centre[4 * c + d]
                distance += delta * delta
            others = <double> copy.sums[k].w
            loss = mine * distance
            if k >= self.fixed:
                loss *= others / (mine + others)
                if solid:   # its fourth coordinate stays
                    depth = copy.centre[4 * k + 3] - copy.centre[4 * c + 3]
                    loss += mine * depth * depth * mine / (mine + others)
            if least < 0 or loss < least:
                least = loss
        self.loss[c] = least

    # ---- the steps of a search

    def grow(self, Py_ssize_t K):
        """Cut the cluster that gains most, again and again, until there are K (binary splitting,
        Orchard & Bouman 1991); return how many there are.

        Opaque members leave the first cluster before anything else, or the others would be bound to
        their alpha.
        """
        cdef Copy* copy = &self.copies[0]
        cdef int32_t c, best = <int32_t> self.fixed
        cdef bint apart
        with nogil:
            apart = (self.K == best + 1 and self.K < K
                     and 0 < copy.sums[best].opaque < copy.sums[best].w)
            if apart:
                self.K += 1
                self.cut_opaque(copy, best, &self.cuts[best])
                self.cut(copy, best, best + 1)
                self.recentre(copy, best)
                self.recentre(copy, best + 1)
            for c in range(<int32_t> self.K):
                self.find_near(c)
            for c in range(<int32_t> self.K):
                self.share(copy, c, self.near + NEAR * c, self.n_near[c])
            self.recentre(copy, best)
            self.find_cut(best)
            if apart:
                self.recentre(copy, best + 1)
                self.find_cut(best + 1)
                if copy.sums[best].w == 0:      # what was not opaque is now at fixed centroids
                    self.cut(copy, best + 1, best)
                    for c in range(best, best + 2):
                        self.recentre(copy, c)
                        self.find_cut(c)
            while self.K < K:
                best = <int32_t> self.fixed
                for c in range(best + 1, <int32_t> self.K):
                    if self.cuts[c].gain > self.cuts[best].gain:
                        best = c
                if self.cuts[best].gain <= 0:
                    break
                c = <int32_t> self.K
                self.K += 1
                self.cut(copy, best, c)
                self.recentre(copy, best)
                self.recentre(copy, c)
                self.find_cut(best)
                self.find_cut(c)
            self.forget(copy)
        return self.K

    def settle(self, int passes):
        """Lloyd's algorithm among neighbours, up to so many passes; return whether it has ended."""
        cdef Copy* copy = &self.copies[0]
        cdef int32_t c
        cdef int _
        cdef bint moving = True
        with nogil:
            for _ in range(passes):
                self.work += self.K * self.K
                for c in prange(<int32_t> self.K, num_threads=self.n_threads, schedule="static"):
                    self.find_near(c)
                for c in range(<int32_t> self.K):
                    self.share(copy, c, self.near + NEAR * c, self.n_near[c])
                moving = copy.n_log > 0
                self.recentre_touched(copy)
                self.forget(copy)
                if not moving:
                    break
            self.work += copy.work
            copy.work = 0
        return not moving

    def start(self):
        """Give every thread its copy, and rate all clusters."""
        cdef Copy* copy
        cdef int t
        cdef Py_ssize_t i
        cdef int32_t c
        with nogil:
            for t in range(1, self.n_threads):
                copy = &self.copies[t]
                for i in range(self.N):
                    self.put(copy, <int32_t> i, self.copies[0].owner[i])
                for c in range(<int32_t> self.K):
                    self.recentre(copy, c)
            self.work += self.K * self.K
            for c in prange(<int32_t> self.K, num_threads=self.n_threads, schedule="dynamic",
                            chunksize=8):
                self.look_around(c)

    cdef int choose(self) noexcept nogil:
        """Pair one cluster by chance with another, then those that are worth most cutting with
        those worth least; return how many."""
        cdef int n = 0
        # More get in each other's way, fewer are not worth waking threads for.
        cdef int most = <int> min(<Py_ssize_t> TRIALS, max(<Py_ssize_t> 4, self.K // 24))
        cdef int32_t c, a, b
        cdef double value, best
        cdef uint8_t* taken = self.copies[0].todo
        memset(taken, 0, self.K)
        a = <int32_t> (next_random(&self.state) % <uint64_t> self.K)
        b = <int32_t> (next_random(&self.state) % <uint64_t> self.K)
        if a != b and self.cuts[a].gain > 0 and self.loss[b] >= 0:
            self.trials[n].cut = a
            self.trials[n].dissolved = b
            n += 1
            taken[a] = taken[b] = 1
        while n < most:
            a = b = -1
            best = 0
            for c in range(<int32_t> self.K):
                value = self.cuts[c].gain / self.tired[c]
                if not taken[c] and value > best:
                    best = value
                    a = c
            if a < 0:
                break
            taken[a] = 1
            for c in range(<int32_t> self.K):
                value = self.loss[c] * self.tired[c]
                if not taken[c] and value >= 0 and (b < 0 or value < best):
                    best = value
                    b = c
            if b < 0:
                break
            taken[b] = 1
            self.trials[n].cut = a
            self.trials[n].dissolved = b
            n += 1
        return n

    cdef void attempt(self, Copy* copy, Trial* trial) noexcept nogil:
        """Make a swap, write down what it gives, and take it back."""
        cdef int32_t ids[NEAR + 1]
        cdef double before, after, last = 0
        cdef int32_t a = trial.cut, b = trial.dissolved, c, k
        cdef Py_ssize_t i
        cdef int p, j, m
        self.share(copy, b, self.near + NEAR * b + 1, self.n_near[b] - 1)
        self.cut(copy, a, b)
        self.recentre_touched(copy)
        for p in range(SETTLE):
            memset(copy.todo, 0, self.K)
            for c in range(<int32_t> self.K):
                if copy.moved[c]:
                    copy.todo[c] = 1
                    k = a if c == b else c
                    for j in range(1, min(<int32_t> SPREAD, self.n_near[k])):
                        copy.todo[self.near[NEAR * k + j]] = 1
            for c in range(<int32_t> self.K):
                if copy.todo[c]:
                    k = a if c == b else c
                    m = self.n_near[k]
                    ids[m] = b
                    for j in range(m):
                        ids[j] = self.near[NEAR * k + j]
                        if ids[j] == b:
                            ids[m] = -1
                    self.share(copy, c, ids, m + (ids[m] == b))
            self.recentre_touched(copy)
            before = after = 0
            m = 0
            for c in range(<int32_t> self.K):
                if copy.touched[c]:
                    before += self.error_of(copy, c, &copy.before[c])
                    after += self.error_of(copy, c, &copy.sums[c])
                    m += copy.moved[c]
            trial.change = after - before
            if (m == 0 or (p > 0 and trial.change > HOPE * (last - trial.change))
                    or (trial.change < 0 and p >= EARLY)):
                break
            last = trial.change
        trial.n = copy.n_log
        trial.work = copy.work + self.K
        copy.work = 0
        for i in range(copy.n_log):
            trial.point[i] = copy.log[i]
            trial.owner[i] = copy.owner[copy.log[i]]
        for c in range(<int32_t> self.K):
            trial.touched[c] = copy.touched[c]
        for i in range(copy.n_log):
            self.take(copy, copy.log[i])
            self.put(copy, copy.log[i], copy.old[i])
        self.recentre_touched(copy)
        self.forget(copy)

    cdef bint apart(self, const Trial* trial, const uint8_t* touched) noexcept nogil:
        cdef int32_t c
        for c in range(<int32_t> self.K):
            if trial.touched[c] and touched[c]:
                return False
        return True

    cdef int select(self, int n) noexcept nogil:
        """Choose the swaps that pay, best first, each apart from those before; return how many."""
        cdef uint8_t* touched = self.copies[0].todo
        cdef int j, best, made = 0
        cdef int32_t c
        memset(touched, 0, self.K)
        while True:
            best = -1
            for j in range(n):
                if self.trials[j].change < 0 and (
                        best < 0 or self.trials[j].change < self.trials[best].change):
                    best = j
            if best < 0:
                return made
            if self.apart(&self.trials[best], touched):
                self.chosen[made] = best
                made += 1
                for c in range(<int32_t> self.K):
                    touched[c] |= self.trials[best].touched[c]
            self.trials[best].change = 0    # not to be looked at again, and no failure

    cdef void make(self, Copy* copy, int made) noexcept nogil:
        """Make the chosen swaps in a copy."""
        cdef Trial* trial
        cdef int j
        cdef Py_ssize_t i
        for j in range(made):
            trial = &self.trials[self.chosen[j]]
            for i in range(trial.n):
                self.move(copy, trial.point[i], trial.owner[i])
        self.recentre_touched(copy)
        self.forget(copy)

    cdef void look_around(self, int32_t c) noexcept nogil:
        self.tired[c] = 1
        self.find_near(c)
        self.rate(c)

    def improve(self, int64_t budget, int patience):
        """Try swaps until about `budget` distances are computed; return False if `patience` swaps a
        cluster were tried in vain."""
        cdef int64_t end = self.work + budget
        cdef int n = 0, made, j, t
        cdef int32_t c
        cdef int64_t failures = 0
        cdef uint8_t* touched = self.copies[0].todo
        with nogil:
            while self.work < end and failures < patience * self.K:
                n = self.choose()
                if n == 0:
                    break
                for j in prange(n, num_threads=self.n_threads, schedule="dynamic", chunksize=1):
                    self.attempt(&self.copies[threadid()], &self.trials[j])
                for j in range(n):
                    self.work += self.trials[j].work
                    if self.trials[j].change >= 0:
                        failures += 1
                        self.tired[self.trials[j].cut] *= WEARY
                        self.tired[self.trials[j].dissolved] *= WEARY
                self.tried += n
                made = self.select(n)
                self.accepted += made
                if made == 0:
                    continue
                failures = 0
                for t in prange(self.n_threads, num_threads=self.n_threads, schedule="static",
                                chunksize=1):
                    self.make(&self.copies[t], made)
                for c in prange(<int32_t> self.K, num_threads=self.n_threads, schedule="dynamic",
                                chunksize=8):
                    if touched[c]:
                        self.look_around(c)
                for c in range(<int32_t> self.K):
                    self.work += self.K if touched[c] else 0
        return n > 0 and failures < patience * self.K

    def error(self):
        """Return the sum of w |x - mean|^2, a float."""
        cdef double total = 0
        cdef int32_t c
        for c in range(<int32_t> self.K):
            total += self.error_of(&self.copies[0], c, &self.copies[0].sums[c])
        return total

    def centroids(self, int32_t[:, ::1] out not None):  # OUT (K, D)
        """Write the centroids."""
        cdef int32_t c
        cdef int d
        for c in range(<int32_t> self.K):
            for d in range(self.D):
                out[c, d] = self.copies[0].centre[4 * c + d]

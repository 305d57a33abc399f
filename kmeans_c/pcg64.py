"""The random stream of `numpy.random.PCG64`, without importing `numpy.random`, which takes 15 ms.

NumPy promises to keep the raw stream. A search draws one word, k-means++ one for each candidate, so
Python's integers are fast enough: a microsecond a word.

References
----------
.. [1] O'Neill, M. E. (2014). PCG: a family of simple fast space-efficient statistically good
   algorithms for random number generation. Harvey Mudd College, HMC-CS-2014-0905.
.. [2] O'Neill, M. E. (2015). Developing a seed_seq alternative. pcg-random.org.
"""

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1
_MASK128 = (1 << 128) - 1

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645

# Of numpy.random.SeedSequence.
_POOL = 4
_INIT_A, _MULT_A = 0x43B0D7E5, 0x931E8875
_INIT_B, _MULT_B = 0x8B51F9DD, 0x58F38DED
_MIX_L, _MIX_R = 0xCA01F9DD, 0x4973F715


class PCG64:
    """The generator PCG XSL RR 128/64.

    Parameters
    ----------
    seed : int
        At least 0; as in ``numpy.random.PCG64(seed)``.
    """

    def __init__(self, seed: int) -> None:
        words = _seed_words(seed)
        state, stream = words[0] << 64 | words[1], words[2] << 64 | words[3]
        self._increment = (stream << 1 | 1) & _MASK128
        self._state = self._increment + state
        self._step()

    def random_raw(self) -> int:
        """Return 64 random bits."""
        self._step()
        value = (self._state >> 64) ^ (self._state & _MASK64)
        turn = self._state >> 122
        return (value >> turn | value << (64 - turn)) & _MASK64

    def _step(self) -> None:
        self._state = (self._state * _MULTIPLIER + self._increment) & _MASK128


class _Hash:
    """A multiplicative hash whose multiplier changes with each word."""

    def __init__(self, start: int, factor: int) -> None:
        self._constant, self._factor = start, factor

    def __call__(self, value: int) -> int:
        value ^= self._constant
        self._constant = self._constant * self._factor & _MASK32
        value = value * self._constant & _MASK32
        return value ^ value >> 16


def _mixed(x: int, y: int) -> int:
    value = (_MIX_L * x - _MIX_R * y) & _MASK32
    return value ^ value >> 16


def _seed_words(seed: int) -> list[int]:
    """Four words of 64 bits, as ``SeedSequence(seed).generate_state(4, numpy.uint64)``."""
    entropy = [seed >> shift & _MASK32 for shift in range(0, max(1, seed.bit_length()), 32)]
    hashed = _Hash(_INIT_A, _MULT_A)
    pool = [hashed(entropy[i] if i < len(entropy) else 0) for i in range(_POOL)]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mixed(pool[target], hashed(pool[source]))
    for word in entropy[_POOL:]:
        pool = [_mixed(value, hashed(word)) for value in pool]
    hashed = _Hash(_INIT_B, _MULT_B)
    halves = [hashed(pool[i % _POOL]) for i in range(8)]
    return [halves[i] | halves[i + 1] << 32 for i in range(0, 8, 2)]

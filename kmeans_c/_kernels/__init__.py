"""Compiled kernels: they know numbers and nothing else; every check stands in the rooms above."""

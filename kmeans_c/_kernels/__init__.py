"""Compiled kernels: they know numbers and nothing else, and leave every check to the rooms above."""

"""Compiled kernels: they know numbers and nothing else. Every check stands at the public door above them."""

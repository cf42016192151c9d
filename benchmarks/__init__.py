"""Benchmarks: one command each, the peer in the same run, JSON out."""

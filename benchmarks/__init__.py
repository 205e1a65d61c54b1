"""Benchmarks of speed and memory against named rivals, measured in the same run.

`make bench` runs all of them.
"""

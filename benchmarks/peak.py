"""The expression with which a measured program gets its own peak memory, in MB.

It is the kernel's high-water mark of the process; `ru_maxrss` would include the process from which
it was forked.
"""

PEAK_MB = (
    "next(int(line.split()[1]) / 1e3 for line in open('/proc/self/status') if "
    "line.startswith('VmHWM'))"
)

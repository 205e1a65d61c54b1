"""How a program under measurement prints its own peak memory, in MB.

The kernel's high-water mark of the process itself: `ru_maxrss` also remembers the process it was
forked from.
"""

PEAK_MB = (
    "next(int(line.split()[1]) / 1e3 for line in open('/proc/self/status') if "
    "line.startswith('VmHWM'))"
)

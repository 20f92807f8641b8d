"""A long and lossy link on one machine, through which the kernel's own TCP works: for benchmarks of
clients that are far away. It needs no netem, which not every kernel has.
"""

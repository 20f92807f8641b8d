"""Starts our processes as forks of a process that has already loaded their modules.

A process needs a third to half a second of CPU to load its modules, which is most of its start.
`make run` starts seven processes at once, and the tests start hundreds. `Stack` and `Process` can
use `starter.ForkServers` for it; a real installation starts each process by exec.
"""

"""Starts our processes as forks of a process that has already loaded their modules.

Most of a process's start time is the loading of modules: a third to half a second of CPU. `make
run` starts seven at once, and the tests start hundreds. `Stack` and `Process` use
`starter.ForkServers`; a real installation starts each process by exec.
"""

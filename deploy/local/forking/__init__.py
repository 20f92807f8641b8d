"""Processes of ours that are forked from one that has loaded what they need.

Most of what the start of one costs is loading modules: a third to half a second of CPU. `make run`
starts seven at once, and the tests start hundreds. `starter.ForkServers` is for `Stack` and
`Process`; a real installation starts each process by exec.
"""

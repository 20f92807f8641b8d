"""Processes of ours that are forked from one that has loaded what they need.

Most of what the start of one costs is loading modules: a third to half a second of CPU, and the
tests start hundreds. `tests.forking.starter.FORKED` is for `Stack` and `Process`.
"""

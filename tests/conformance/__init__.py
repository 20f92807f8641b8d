"""Conformance cases as data, with which the Python SDK and the browser's SDK must both agree.

Each `*.json` names the part that it is `of`, and lists cases. A case has a name, an input, and the
expected output (`expect`). `cases.py` expands the short forms in them. `subject.py` runs them with
the Python SDK, `tests/browser/conformance.js` with the browser's SDK in a real browser. A case with
`only` is for one of the two. A client in a third language needs these files and its own subject.
"""

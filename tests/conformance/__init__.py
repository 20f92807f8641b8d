"""What every client must answer, as data: the Python SDK and the browser's module are held to it.

Each `*.json` names what it is `of` and lists cases; each case has a name, what goes in, and what
must come out (`expect`). `cases.py` says how the short forms in them are filled in, `subject.py`
asks the Python SDK, `tests/browser/conformance.js` the module in a real browser. A case with `only`
says what one of the two alone does. A client in a third language needs these files and a subject
of its own.
"""

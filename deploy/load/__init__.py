"""`make load-test`: many clients, real orders, faults, and a proof that nothing was lost.

* `plan.py`: the options of a run, checked
* `site.py`: the system under load: its own, or one at given addresses
* `clients/`: the clients that order, follow and probe: the SDK's machine over HTTP with callbacks
* `measured/`: each second's figures; what each client applied, compared with Core's log
* `run.py`: the test itself
* `report/`: its result, for a terminal, as JSON and as one HTML file
* `capacity.py`: what a fleet needs, computed from reports
"""

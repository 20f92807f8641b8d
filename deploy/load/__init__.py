"""`make load-test`: many clients, real orders, faults, and a check that no event was lost.

* `plan.py`: the options of a run, checked
* `site.py`: the system under load: started by the test, or running already
* `clients/`: the clients that place orders, follow channels and measure health requests
* `measured/`: the figures of each second; the comparison of each client's events with Core's log
* `run.py`: the test itself
* `report/`: its result, for a terminal, as JSON and as one HTML file
* `capacity.py`: how many servers a load needs, computed from reports
"""

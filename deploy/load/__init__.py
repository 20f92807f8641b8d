"""`make load-test`: many clients, real orders, faults, and a proof that nothing was lost.

plan the plan of a run, checked site the system under load: its own, or one at given addresses
clients/ the clients that order, follow and probe: the SDK's machine over HTTP with callbacks
measured/ each second's figures; the comparison of Core's log with what each client applied run the
test itself report/ its result, for a terminal, as JSON and as one HTML file capacity what a fleet
needs, computed from reports
"""

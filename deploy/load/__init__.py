"""`make load-test`: many clients, real orders, faults, and a proof that nothing was lost.

plan       what is to be run, checked
site       what it is run against: a system of its own, or given addresses
clients/   who orders, follows and asks: one HTTP connection by callbacks, the SDK's machine over it
measured/  each second, where the time goes; Core's log against what each client applied
run        the test itself
report/    its result, for a terminal, as JSON and as one HTML file
capacity   what a fleet needs, computed from reports
"""

"""`make load-test`: many clients, real orders, faults, and a proof that nothing was lost.

plan       what is to be run, checked
site       what it is run against: a system of its own, or given addresses
exchange   one HTTP connection, by callbacks
follower   a client: the SDK's machine over such connections
writer     orders through the front door
proof      Core's log against what each client applied
timeline   what each second was like
run        the test itself
report     its result, for a terminal, as JSON and (page, chart) as one HTML file
"""

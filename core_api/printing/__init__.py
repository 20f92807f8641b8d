"""Print jobs: which printer prints which part of an order, and the state of each job."""

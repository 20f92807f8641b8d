"""A quick check whether the cost of an operation has grown: `make bench-quick`."""

"""A quick look whether an operation has become dearer: `make bench-quick`."""

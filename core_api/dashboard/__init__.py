"""The figures of the ops page."""

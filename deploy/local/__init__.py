"""The whole system on one machine, installed with pip only."""

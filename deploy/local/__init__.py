"""The whole system on one machine, with nothing but pip."""

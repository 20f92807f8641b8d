"""The whole system on one machine, from packages that pip installs."""

"""A child process, and the ports that it listens on."""

"""Stand-ins for the modules of a microcontroller, so that its programs run on this machine."""

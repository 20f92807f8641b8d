"""A kitchen under chaos: a broker, gateways, a printer, devices, and the proof of what they did."""

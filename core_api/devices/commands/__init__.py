"""What devices are told to do: sent, answered, expired; the alarm for those that nobody answers."""

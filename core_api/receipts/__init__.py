"""Which devices have an order, and the alarm for orders that no device has."""

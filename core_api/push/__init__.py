"""Web Push: notifies owners' and guests' locked phones of orders."""

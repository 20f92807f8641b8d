"""The rules for a store's orders that its documents set."""

"""What a store's documents say about its orders."""

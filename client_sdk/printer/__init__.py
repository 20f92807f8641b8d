"""`yabam printer`: prints a store's tickets on a printer without its own client."""

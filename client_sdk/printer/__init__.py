"""`yabam printer`: prints a store's tickets on a printer that cannot speak for itself."""

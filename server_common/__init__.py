"""What both servers need and no client does. It imports neither of them."""

"""Code that both servers need and no client. It imports neither of them."""

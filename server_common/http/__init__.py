"""HTTP for both servers: rules of requests, and problem answers."""

"""The clients for programs, and the parts around the machine: HTTP, delivery, cursors."""

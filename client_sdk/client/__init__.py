"""The clients that programs use, and what lies around the machine: HTTP, delivery, cursors."""

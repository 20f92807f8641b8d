"""What both servers say and accept in HTTP."""

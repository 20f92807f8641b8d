"""What answers each request: one module for each subject."""

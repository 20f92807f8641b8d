"""What a process tells of itself: its metrics, and how it stands."""

"""A process's metrics, health and readiness."""

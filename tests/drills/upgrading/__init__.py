"""The upgrade from the previous release, rehearsed under load."""

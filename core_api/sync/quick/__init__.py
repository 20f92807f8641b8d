"""A cheap path for Fetch Syncs that go on from their cursors."""

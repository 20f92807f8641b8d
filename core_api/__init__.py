"""Core: orders in Postgres, Fetch Sync, the relay to Kafka and the ingest from it."""

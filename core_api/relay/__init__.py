"""The relay: from the outbox in Postgres to Kafka, in order, with a watermark."""

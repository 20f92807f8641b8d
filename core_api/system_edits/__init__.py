"""What Core itself changes of documents: their ends, sessions that go on, new schemas."""

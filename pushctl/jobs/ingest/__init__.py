"""What came in becomes rows: the inbox drained, each request judged once."""

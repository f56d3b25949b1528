"""What is done: one file a job."""

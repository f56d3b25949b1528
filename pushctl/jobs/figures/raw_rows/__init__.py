"""The rows behind figures: questions in SQL, exports, and the log of who read them."""

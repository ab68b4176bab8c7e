"""The lake in a browser."""

"""The terminal: lines, progress, streams, and the log records of libraries."""

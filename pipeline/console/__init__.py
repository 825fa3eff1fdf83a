"""The terminal: lines, progress, and the log records of libraries."""

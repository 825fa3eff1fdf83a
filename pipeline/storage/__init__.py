"""Where records are kept: addresses, files, locks, and the Optuna store."""

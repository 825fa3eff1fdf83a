"""The best trial's model: how it is saved and how it is served."""

"""A run's directory: its record, checkpoints and files, and the model that they hold."""

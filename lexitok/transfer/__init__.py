"""A new tokenizer for a trained model."""

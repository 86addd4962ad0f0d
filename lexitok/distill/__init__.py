"""What one model learns from another under a different tokenizer, on aligned batches."""

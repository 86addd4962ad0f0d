"""A new tokenizer for a trained model: what rows its tokens get, and where each of them came from."""

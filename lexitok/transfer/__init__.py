"""A new tokenizer for a trained model: what rows its tokens get, where each of them came from, tokenizers by chance."""

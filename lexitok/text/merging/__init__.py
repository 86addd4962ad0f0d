"""Dynamic tokenization (arXiv 2411.18553): merges of frequent neighbours among tokens, within words."""

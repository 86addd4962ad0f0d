"""A model that reads, or writes too, tokens that are merged as its texts ask for (arXiv 2411.18553).

Merges are found by `lexitok.text.merging`; `rows` makes the vectors of merged tokens, `cache` remembers them,
`windows` and `batches` bring texts to a model, `evaluate` scores them, `writing` generates.
"""

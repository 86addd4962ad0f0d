"""Layers and the transformer. Modules are Flax NNX in tree style: plain trees of arrays, no shared references."""

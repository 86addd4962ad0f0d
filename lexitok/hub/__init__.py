"""Pretrained checkpoints in and out: safetensors in Hugging Face's layout, and GGUF."""

from lexitok.hub.load import Pretrained, load
from lexitok.hub.save import save
from lexitok.hub.stored_tensors import HubError

__all__ = ["HubError", "Pretrained", "load", "save"]

"""Pretrained checkpoints in and out: safetensors in Hugging Face's layout, and GGUF."""

from lexitok.hub.errors import HubError
from lexitok.hub.load import Pretrained, load
from lexitok.hub.save import save

__all__ = ["HubError", "Pretrained", "load", "save"]

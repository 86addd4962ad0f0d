"""How symbols enter (`embed`) and leave (`logits`, `scores`) a model. A new interface is one file and a line here."""

from lexitok.interfaces.table import Table

INTERFACES = {"table": Table}

"""Bits per byte, audited: tokens against bytes, claims against tokens, and what known mistakes would give."""

from lexitok.text.audit.audit import Audit, audit
from lexitok.text.audit.claims import Claims
from lexitok.text.audit.documents import DocumentAudit, WrongToken
from lexitok.text.audit.drift import Drift, changed_tokens, drift
from lexitok.text.audit.logs import AuditError, TokenLog, read_log, write_log
from lexitok.text.audit.miscounts import MISCOUNTS, Miscount

__all__ = [
    "MISCOUNTS",
    "Audit",
    "AuditError",
    "Claims",
    "DocumentAudit",
    "Drift",
    "Miscount",
    "TokenLog",
    "WrongToken",
    "audit",
    "changed_tokens",
    "drift",
    "read_log",
    "write_log",
]

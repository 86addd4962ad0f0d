"""Operations with several implementations: one folder an operation, `api.py` chooses, `reference.py` defines."""

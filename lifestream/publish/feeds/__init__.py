"""Our own feeds: one document (`document.py`), written in three formats."""

"""The model card, from the record."""

"""Bytes that lie elsewhere: which URLs are read, how, and what of them is kept on this disk."""

"""Signing the folder of an audit, verifying it, and recording who decided on it."""

"""What changed between two audits, and of what that can be said."""

"""Per-image scores from predictions and truth."""

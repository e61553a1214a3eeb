"""One module a task: from raw answers and truth to scored rows."""

"""Clauses that an audit's evidence may support: a table as data, and its coverage by an audit."""

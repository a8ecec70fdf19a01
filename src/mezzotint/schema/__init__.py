"""What is public about a table: attributes, bounds, categories, missing values, constraints."""

from mezzotint.schema.schema import Schema

__all__ = ["Schema"]

"""Measurements of the product as shipped."""

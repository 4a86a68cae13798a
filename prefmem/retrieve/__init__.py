"""From a query to the rules that apply."""

"""A simulator that measures user models without any language model: deterministic, on a CPU."""

"""What the documentation site is made of, beside its pages: texts from the code and from runs."""

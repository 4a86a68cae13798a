"""The commands of `prefmem evaluate`, by what they look at."""

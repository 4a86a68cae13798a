"""What stands between a memory and the parts that may fail: time limits, breakers, figures."""

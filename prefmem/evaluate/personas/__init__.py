"""The rule-based persona experiment: what users revealed once, is it kept in later sessions?"""

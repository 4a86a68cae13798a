"""The preference agent: learns a user's way of writing, and writes rules for any chat model.

From documents of the user come intents and rules (`distil`); a LoRA adapter on a small causal model
learns to write the rules for an intent (`train`); its rules go to the chat model (`generate`).
After Unsupervised Human Preference Learning (arXiv 2410.03731).
"""

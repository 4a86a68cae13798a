"""What the hosts beside LangChain share: a memory at the border of a chat that goes on without it.

companion = Companion(memory, "my host")
block = companion.rules(lambda: Dialogue(user_id, turns))     # before the model; "" for no rules
companion.learn(lambda: Dialogue(user_id, [*turns, answer]))  # after it
"""

from prefmem_hosts.companion import Companion, Dialogue, OnError, OnMissing, Turns, user_of

__all__ = ["Companion", "Dialogue", "OnError", "OnMissing", "Turns", "user_of"]

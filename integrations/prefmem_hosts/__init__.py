"""What the hosts beside LangChain share: a memory at the border of a chat that goes on without it.

companion = Companion(memory, "my host")
block = companion.rules(turns, who=lambda: user_id)   # before the model speaks; "" for no rules
companion.learn([*turns, answer], who=lambda: user_id)  # after it has
"""

from prefmem_hosts.companion import Companion, OnError, OnMissing, Turns, user_of

__all__ = ["Companion", "OnError", "OnMissing", "Turns", "user_of"]

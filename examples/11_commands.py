"""What users say to their memory itself: remember, show, why, forget."""

from prefmem import PreferenceMemory

SAID = (
    "Remember that I prefer metric units.",
    "From now on keep your answers under five lines.",
    "Explain tides.",
    "Why did you do that?",
    "Show my preferences.",
    "Forget that I prefer metric units.",
    "Show my preferences.",
)

with PreferenceMemory(":memory:") as memory:
    messages: list[tuple[str, str]] = []
    for text in SAID:
        messages.append(("user", text))
        told = memory.command(messages, user_id="ann", session_id="monday")
        recall = memory.recall(text, user_id="ann", session_id="monday")
        rules = [rule.text for rule in recall.rules]
        answer = told.reply or f"(your model answers, with the rules {rules})"
        messages.append(("assistant", answer))
        memory.learn(messages, user_id="ann", session_id="monday")
        print("user:", text)
        print("assistant:", answer)

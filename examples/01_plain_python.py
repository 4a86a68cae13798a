"""A chat loop of your own: recall before the model speaks, learn after the user has."""

from prefmem import PreferenceMemory


def model(system: str, question: str) -> str:
    """Stand in for your chat model: it only says what it was told."""
    rules = [line for line in system.splitlines() if line.startswith("{")]
    return f"(answering {question!r} with {len(rules)} rules)"


with PreferenceMemory(":memory:") as memory:
    said = [
        {
            "role": "user",
            "content": "Why is this query slow? And whenever you write SQL, use CTEs.",
        },
        {"role": "assistant", "content": "The join has no index. Noted, CTEs."},
        {"role": "user", "content": "I can't stand emojis in answers, by the way."},
    ]
    for card in memory.learn(said, user_id="ann", session_id="monday").added:
        print("learned:", card.text, "| from:", card.preference.evidence[0].quote)

    question = "Write a SQL query for the sales of each month."
    recall = memory.recall(question, user_id="ann", session_id="tuesday")
    block = memory.render(recall)
    print(block)
    print(model(block, question))
    print("another user gets:", memory.recall(question, user_id="bob").rules)

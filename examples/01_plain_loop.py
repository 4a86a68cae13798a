"""A chat loop of your own: recall before the model speaks, learn after the user has."""

from openai import OpenAI
from shared import endpoint

from prefmem import PreferenceMemory

SAID = (
    "Why is this query slow? And whenever you write SQL, use CTEs.",
    "I can't stand emojis in answers, by the way.",
    "Write a SQL query for the sales of each month.",
)

with endpoint(__doc__) as model, PreferenceMemory(":memory:") as memory:  # a path keeps it on disk
    client = OpenAI(base_url=model.url, api_key=model.key)
    messages: list[dict[str, str]] = []
    for text in SAID:
        messages.append({"role": "user", "content": text})
        recall = memory.recall(messages, user_id="ann", session_id="monday")
        block = memory.render(recall)  # for the system prompt; "" where no rule applies
        prompt = [{"role": "system", "content": block}] if block else []
        answer = client.chat.completions.create(model=model.model, messages=[*prompt, *messages])
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
        print("user:", text)
        print("assistant:", messages[-1]["content"])
        for card in memory.learn(messages, user_id="ann", session_id="monday").added:
            print("learned:", card.text, "| from:", card.preference.evidence[0].quote)

    print(block)
    for row in recall.explain():
        print(f"{row.verdict.reason:10} {row.relevance:.2f} {row.text}")
    print("another user gets:", memory.recall(SAID[-1], user_id="bob").rules)

"""What works for a user: thumbs, follow-ups, and what they change in a draft."""

from prefmem import PreferenceMemory

QUESTION = "Write a mail to my team about the new office."
DRAFTS = (
    ("Dear team, we are moving. Best regards, Ann", "Hi team, we are moving. Ann"),
    ("Dear Tom, the report is late. Best regards, Ann", "Hi Tom, the report is late. Ann"),
    ("Dear all, lunch is at one. Best regards, Ann", "Hi all, lunch is at one. Ann"),
    ("Dear Eva, thank you. Best regards, Ann", "Hi Eva, thank you. Ann"),
)

with PreferenceMemory(":memory:") as memory:
    card = memory.add("writing mails", "open with a quotation", user_id="ann")
    for number in range(4):
        recall = memory.recall(QUESTION, user_id="ann", session_id=f"s{number}")
        row = next(r for r in recall.explain() if r.card_id == card.id)
        print(f"belief {row.belief:.2f} worth {row.worth:.2f} {row.verdict.reason}: {row.text}")
        if row.verdict.injected:  # a thumb down under the answer
            memory.feedback(recall, -1, user_id="ann", card_id=card.id)

    print("what she changes in drafts:")
    for draft, final in DRAFTS:
        report = memory.learn_from_edit(draft, final, "a mail", user_id="ann")
        print("  edited;", [card.text for card in report.added] or "no rule yet")

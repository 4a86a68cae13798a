"""Three invented people, and two months of what they said to their assistants."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from prefmem import PreferenceMemory

BEGIN = datetime(2026, 9, 21, 8, 30, tzinfo=UTC)
# day, what was asked, what the assistant answered, what the user said then, a thumb or None
Exchange: TypeAlias = tuple[int, str, str, str, float | None]

MARA = "mara.lindqvist@harbour.example"
TOMAS = "tomas.reyes@harbour.example"
AIKO = "aiko.mori@harbour.example"

MARAS: Sequence[Exchange] = (
    (0, "When you write mails to customers, keep them under six sentences.", "I will.",
     "Write a mail to a customer whose parcel is late.", None),
    (1, "Write a mail to the customer in Bergen about the new price list.",
     "Dear Ms Dahl, the new price list is attached.", "Thanks, that is just right.", 1.0),
    (3, "Please always answer in British English.", "Certainly.",
     "In meeting notes, put the decisions first.", None),
    (4, "Turn this into meeting notes: we moved the launch to May, Ola asks for a budget.",
     "Ola asks for a budget. The launch moves to May.",
     "No, I said decisions first in meeting notes!", -1.0),
    (8, "When I ask for SQL, put the keywords in capitals.", "Noted.",
     "A query for the orders of last week.", None),
    (9, "Write a SQL query for returns by country.",
     "SELECT country, COUNT(*) FROM returns GROUP BY country;", "Perfect, thanks.", 1.0),
    (14, "For trips, plan trains instead of flights.", "Trains it is.",
     "Plan my trip to the fair in Hamburg.", None),
    (15, "Plan a trip to Copenhagen for two days.", "Here is a plan with the night train.",
     "Great, thank you.", None),
    (17, "Whenever you summarise a paper, end with what it does not show.", "Good idea.",
     "Summarise the paper on harbour cranes.", None),
    (21, "Write meeting notes from the weekly call.", "Decisions: the test starts on Monday.",
     "Exactly, thanks.", 1.0),
    (23, "When you draft invoices, always send a copy to Lena.",
     "I cannot promise that.", "Draft an invoice for two days of advice.", None),
    (28, "When you suggest recipes, leave out nuts.", "Understood.",
     "A recipe for a quick supper.", None),
    (30, "Write a mail to a customer about the broken lamp.",
     "Dear Mr Voss, we are very sorry, and here are eleven sentences on how lamps break.",
     "That is too long again. Keep mails to customers under six sentences.", -1.0),
    (35, "When you write mails to my team, skip the greeting.", "Will do.",
     "A mail to the team about Friday.", None),
    (37, "Give me headlines for the autumn sale.", "Autumn, for less.",
     "When you write headlines, avoid puns.", None),
    (43, "Write a SQL query for stock below ten.", "SELECT item FROM stock WHERE n < 10;",
     "Thanks!", 1.0),
    (44, "Summarise this paper on parcel lockers.", "Lockers save trips; it does not show costs.",
     "Very good, thanks.", 1.0),
    (50, "Plan the trip to Oslo in March.", "A flight at nine, and a hotel by the harbour.",
     "Not a flight again. Trains, as I said.", -1.0),
    (52, "Draft an answer to the customer in Turku.", "Dear Ms Salo, the lamp ships today.",
     "Lovely, thanks.", 1.0),
    (56, "When customers ask for prices, never mention the delivery fee.", "I would rather say it.",
     "Write meeting notes from today.", None),
)  # fmt: skip
TOMASES: Sequence[Exchange] = (
    (2, "When you explain code to me, start with an example.", "Sure.",
     "What does a context manager do?", None),
    (5, "Explain decorators.", "Say you have a function that prints a line.", "Thanks.", 1.0),
    (11, "Answer in Spanish when I write in Spanish.", "Claro.",
     "In Python code for me, always add type hints.", None),
    (26, "Write a Python function that parses dates.", "def parse(text: str) -> date: ...",
     "Great, thanks.", 1.0),
)  # fmt: skip
AIKOS: Sequence[Exchange] = (
    (6, "When you plan my week, keep Thursday mornings free.", "Of course.",
     "Plan next week for me.", None),
    (19, "Always give prices in euros.", "In euros, then.", "What would a used cello cost?", None),
)  # fmt: skip


class Days:
    """A clock that is set to a day of the story."""

    def __init__(self) -> None:
        """Start with the first morning."""
        self.now = BEGIN

    def __call__(self) -> datetime:
        """Give the time and let a second pass."""
        self.now += timedelta(seconds=1)
        return self.now


def tell(memory: PreferenceMemory, clock: Days) -> None:
    """Let the three people say what they say, in a memory that goes by `clock`."""
    for user, exchanges in ((MARA, MARAS), (TOMAS, TOMASES), (AIKO, AIKOS)):
        for day, asked, answered, then, thumb in exchanges:
            clock.now = BEGIN + timedelta(days=day)
            session = f"day-{day}"
            recall = memory.recall(asked, user_id=user, session_id=session, strict=True)
            turns = [("user", asked), ("assistant", answered), ("user", then)]
            memory.learn(turns, user_id=user, session_id=session)
            if thumb is not None and recall.candidates:
                shown = [recall.candidates[i].card.id for i in recall.chosen]
                one = shown[-1] if shown else None
                memory.feedback(recall, thumb, user_id=user, card_id=one)
    clock.now = BEGIN + timedelta(days=57)
    mails = next((c for c in memory.list(user_id=MARA) if "customers" in c.text), None)
    if mails is not None:
        memory.edit(mails.id, user_id=MARA, action="keep them under five sentences")
    clock.now = BEGIN + timedelta(days=58)

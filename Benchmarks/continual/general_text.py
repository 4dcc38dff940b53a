"""What the base model reads: text of the tasks' world, without the tasks' formats.

A base must know the words and know how to look back, or its experts would have to learn both from a task's few hundred
steps and would drift far apart. It must not know the tasks, or there would be nothing to forget.
"""

import random

from vocabulary import (
    ADJECTIVES,
    ADVERBS,
    BLAME,
    COLORS,
    FIRST_SYLLABLES,
    JOBS,
    LIVING_NOUNS,
    NAMES,
    OBJECTS,
    PLACES,
    PRAISE,
    REVIEW_SUBJECTS,
    SECOND_SYLLABLES,
    THINGS,
    VERBS,
)

REPEATABLE_WORDS = NAMES + PLACES + COLORS + JOBS + OBJECTS + ["(", ")", ".", "lives", "in", "bought", "a"]


def general_text(generator: random.Random) -> str:
    """One text: a repeated word list nearly half the time, else one of five kinds of plain sentences."""
    if generator.random() < 0.45:
        return _repeated_words(generator)
    kind = generator.choices([_shuffled_facts, _opinions, _english, _french, _medicine], weights=[3, 1, 1, 1, 1])[0]
    return kind(generator)


def _repeated_words(generator: random.Random) -> str:
    """Random words, the same again, and part of them once more: what teaches a small model to look back."""
    words = [generator.choice(REPEATABLE_WORDS) for _ in range(generator.randrange(5, 14))]
    return " ".join(words + words + words[: generator.randrange(len(words))])


def _shuffled_facts(generator: random.Random) -> str:
    """Three facts about three people, then the same facts in another order."""
    people = generator.sample(NAMES, 3)
    thing = generator.choice(OBJECTS)
    values, form = generator.choice(
        [
            (PLACES, "{person} lives in {value} ."),
            (JOBS, "{person} works as a {value} ."),
            (COLORS, "{person} bought a {value} {thing} ."),
        ]
    )
    chosen = generator.sample(values, 3)
    facts = [form.format(person=person, value=value, thing=thing) for person, value in zip(people, chosen)]
    again = generator.sample(facts, len(facts))
    return " ".join(facts) + " so " + " ".join(again)


def _opinions(generator: random.Random) -> str:
    """Opinions that need not agree, so that no sentiment can be read off."""
    opinions = [
        f"the {generator.choice(REVIEW_SUBJECTS)} is {generator.choice(ADVERBS)} {generator.choice(PRAISE + BLAME)}"
        for _ in range(3)
    ]
    return " and ".join(opinions) + " ."


def _english(generator: random.Random) -> str:
    return " ".join(
        f"the {generator.choice(list(ADJECTIVES))} {generator.choice(list(LIVING_NOUNS))} "
        f"{generator.choice(list(VERBS))} the {generator.choice(list(THINGS))} ."
        for _ in range(3)
    )


def _french(generator: random.Random) -> str:
    """French beside no English: the words are known, what they mean is not."""
    return " ".join(
        f"le {generator.choice(list(LIVING_NOUNS.values()))} {generator.choice(list(ADJECTIVES.values()))} "
        f"{generator.choice(list(VERBS.values()))} le {generator.choice(list(THINGS.values()))} ."
        for _ in range(3)
    )


def _medicine(generator: random.Random) -> str:
    """Names of diseases and drugs, told apart at random: the words are known, the facts are not."""
    return " ".join(
        f"{generator.choice(FIRST_SYLLABLES)}{generator.choice(SECOND_SYLLABLES)} "
        f"is a {generator.choice(['drug', 'disease'])} ."
        for _ in range(4)
    )

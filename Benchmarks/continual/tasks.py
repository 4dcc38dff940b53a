"""Five miniature language tasks, in the shape of the five that the RECALL paper reports.

| task           | after          | what a model must do                              |
|----------------|----------------|---------------------------------------------------|
| sentiment      | SST-2          | weigh one to three opinions, one of them negated  |
| extractive-qa  | SQuAD 2.0      | look back for the place that belongs to a name    |
| translation    | IWSLT2017      | apply a lexicon word by word                      |
| reading-choice | RACE           | look back, then choose among the options          |
| medical-choice | MedMCQA        | remember sixty facts that no prompt contains      |

A task is a function from a random generator to one (prompt, answer) pair. Everything is drawn from seeds, training text
and held-out items from different ones, and nothing has to be downloaded.
"""

import random
from collections.abc import Callable

from vocabulary import (
    ADJECTIVES,
    ADVERBS,
    BLAME,
    COLORS,
    FIRST_SYLLABLES,
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

Example = tuple[str, str]
Task = Callable[[random.Random], Example]

FACT_COUNT = 60


def sentiment(generator: random.Random) -> Example:
    """A review whose opinions agree; in the longest form one of them says so by denying the opposite."""
    positive = generator.random() < 0.5
    agreeing, opposing = (PRAISE, BLAME) if positive else (BLAME, PRAISE)
    count = generator.choice([1, 2, 3])
    opinions = [
        f"the {generator.choice(REVIEW_SUBJECTS)} is {generator.choice(ADVERBS)} {generator.choice(agreeing)}"
        for _ in range(count)
    ]
    if count == 3:
        denied = f"the {generator.choice(REVIEW_SUBJECTS)} is not {generator.choice(opposing)}"
        opinions[generator.randrange(3)] = denied
    generator.shuffle(opinions)
    prompt = "review : " + " and ".join(opinions) + " . sentiment :"
    return prompt, " positive" if positive else " negative"


def extractive_question(generator: random.Random) -> Example:
    """Three people and their places; the answer is the place of the one asked for."""
    people = generator.sample(NAMES, 3)
    places = generator.sample(PLACES, 3)
    context = " ".join(f"{person} lives in {place} ." for person, place in zip(people, places))
    asked = generator.randrange(3)
    prompt = f"context : {context} question : where does {people[asked]} live ? answer :"
    return prompt, " " + places[asked]


def translation(generator: random.Random) -> Example:
    """A short sentence; French puts the adjective after its noun here, so word order changes too."""
    subject, subject_in_french = _noun_phrase(generator, LIVING_NOUNS)
    verb = generator.choice(list(VERBS))
    objects = THINGS if generator.random() < 0.7 else LIVING_NOUNS
    object_, object_in_french = _noun_phrase(generator, objects)
    prompt = f"english : {subject} {verb} {object_} . french :"
    return prompt, f" {subject_in_french} {VERBS[verb]} {object_in_french} ."


def _noun_phrase(generator: random.Random, nouns: dict[str, str]) -> tuple[str, str]:
    """An English noun phrase and its French one, with an adjective three times in five."""
    noun = generator.choice(list(nouns))
    if generator.random() < 0.6:
        adjective = generator.choice(list(ADJECTIVES))
        return f"the {adjective} {noun}", f"le {nouns[noun]} {ADJECTIVES[adjective]}"
    return f"the {noun}", f"le {nouns[noun]}"


def reading_choice(generator: random.Random) -> Example:
    """Three purchases and four shuffled options, one of which nobody bought."""
    people = generator.sample(NAMES, 3)
    colors = generator.sample(COLORS, 4)
    thing = generator.choice(OBJECTS)
    asked = generator.randrange(3)
    passage = " ".join(f"{person} bought a {color} {thing} ." for person, color in zip(people, colors))
    answer = colors[asked]
    generator.shuffle(colors)
    options = " ".join(f"( {color} )" for color in colors)
    return f"passage : {passage} what did {people[asked]} buy ? {options} choice :", " " + answer


def medical_facts(seed: int) -> list[tuple[str, str]]:
    """Invented diseases, each with the one drug that treats it. The seed decides which belongs to which."""
    names = [first + second for first in FIRST_SYLLABLES for second in SECOND_SYLLABLES]
    random.Random(seed).shuffle(names)
    return list(zip(names[:FACT_COUNT], names[FACT_COUNT : 2 * FACT_COUNT]))


def medical_choice(facts: list[tuple[str, str]]) -> Task:
    """A task over these facts: four options, all of them drugs, so only memory tells them apart."""

    def question(generator: random.Random) -> Example:
        disease, drug = generator.choice(facts)
        wrong = generator.sample([other for _, other in facts if other != drug], 3)
        options = [drug] + wrong
        generator.shuffle(options)
        stem = generator.choice(
            [
                f"which drug treats {disease} ?",
                f"a patient has {disease} . the drug of choice is ?",
                f"best treatment for {disease} ?",
            ]
        )
        return f"exam : {stem} " + " ".join(f"( {option} )" for option in options) + " drug :", " " + drug

    return question


def all_tasks(seed: int) -> dict[str, Task]:
    """The five tasks in the order in which the sequential chain learns them."""
    return {
        "sentiment": sentiment,
        "extractive-qa": extractive_question,
        "translation": translation,
        "reading-choice": reading_choice,
        "medical-choice": medical_choice(medical_facts(seed)),
    }


def examples(task: Task, seed: int, count: int) -> list[Example]:
    """The first `count` pairs that the task draws from this seed."""
    generator = random.Random(seed)
    return [task(generator) for _ in range(count)]

"""The words of the miniature world that the tasks and the general text share."""

NAMES = (
    "anna ben carla david emma felix gina henry iris jack "
    "karen leo mona nina oscar paula quinn rosa sam tina"
).split()
PLACES = "paris rome berlin madrid vienna oslo lisbon dublin prague athens warsaw zurich".split()
JOBS = "doctor teacher farmer pilot baker painter lawyer singer sailor tailor writer guard".split()
COLORS = "red blue green black white yellow brown grey pink orange".split()
OBJECTS = "car house hat bike boat lamp coat book chair table door cup".split()

PRAISE = "wonderful brilliant charming delightful superb moving funny clever gripping fresh".split()
BLAME = "boring awful dull clumsy tedious bland painful lazy hollow messy".split()
REVIEW_SUBJECTS = "film plot acting script music ending cast story camera dialogue".split()
ADVERBS = "truly really quite rather very simply deeply almost".split()

# English beside French, word by word, without gender: a lexicon to learn, not a grammar.
LIVING_NOUNS = {
    "cat": "chat",
    "dog": "chien",
    "bird": "oiseau",
    "child": "enfant",
    "woman": "femme",
    "man": "homme",
    "king": "roi",
    "queen": "reine",
}
VERBS = {"sees": "voit", "eats": "mange", "loves": "aime", "finds": "trouve"}
ADJECTIVES = {"small": "petit", "big": "grand", "old": "vieux", "young": "jeune"}
THINGS = {"apple": "pomme", "bread": "pain", "river": "fleuve", "forest": "foret"}

# Names of diseases and drugs are a first syllable and a second one.
FIRST_SYLLABLES = "bra cor den fal gro hem jor kal lum mor nar pel quo ras sel tor vin wex yar zol".split()
SECOND_SYLLABLES = "tix dol pan vex rin mab zen cil fen gol".split()

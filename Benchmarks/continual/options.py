"""Merge the experts of one or more trained families with one option changed at a time, and score what each merge remembers.

    python options.py RECALL OUT FAMILY [FAMILY ...]

The arguments are those of compare.py, and so is the table: one row for each choice, the defaults first.
"""

from compare import Comparison, compare

# By name: options of a recall merge whose anchor is the newest expert, changes from the base added up so that it shows.
RECALL = {
    "recall, scale 2": [],
    "… --distance absolute": ["--distance", "absolute"],
    "… --bandwidth global-median": ["--bandwidth", "global-median"],
    "… --bandwidth layer-median": ["--bandwidth", "layer-median"],
    "… --temperature 0.3": ["--temperature", "0.3"],
    "… --temperature 0.1": ["--temperature", "0.1"],
}
# By name: options of recall-align; all but the first two let all samples count the same, which takes a fraction of the time.
ALIGNED = {
    "recall-align": ["--balance", "learned"],
    "recall-align, --balance equal": [],
    "… --scale 1": ["--scale", "1"],
    "… --ridge 0.001": ["--ridge", "0.001"],
    "… --ridge 0.02": ["--ridge", "0.02"],
    "… --fit-steps 0": ["--fit-steps", "0"],
    "… --fit-steps 12": ["--fit-steps", "12"],
    "… --fit-steps 48": ["--fit-steps", "48"],
    "… --align-share 0": ["--align-share", "0"],
    "… --align-share 0.5": ["--align-share", "0.5"],
    "… --align-share 1": ["--align-share", "1"],
    "… --cluster-layer 2": ["--cluster-layer", "2"],
    "… --pooling last": ["--pooling", "last"],
    "… --typical 5": ["--typical", "5"],
    "… --typical 10": ["--typical", "10"],
    "… --typical 50": ["--typical", "50"],
    "… --typical 200": ["--typical", "200"],
    "… --typical 50, --balance learned": ["--typical", "50", "--balance", "learned"],
}


class Options(Comparison):
    """The merges of one family, with one option changed at a time."""

    def results(self):
        """Yields the name of every choice and its accuracy on every task."""
        models = [argument for expert in self.experts for argument in ("--model", expert)]
        samples = [argument for task in range(len(self.experts)) for argument in self.samples_of(task)]
        based = ["--base", self.base]
        pool = ["--samples", self.pool(-1)]
        anchored = ["--anchor", self.experts[-1], *models[:-2], *pool]
        for name, options in RECALL.items():
            yield name, self.merged(*anchored, *based, "--scale", "2", *options)
        yield "… without an anchor", self.merged(*models, *pool, *based, "--scale", "2")
        for name, options in ALIGNED.items():
            balance = [] if "--balance" in options else ["--balance", "equal"]
            yield name, self.merged("--method", "recall-align", *based, *models, *samples, *options, *balance)


if __name__ == "__main__":
    compare(Options, __doc__)

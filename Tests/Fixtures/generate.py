# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "peft==0.21.2",
#   "safetensors==0.8.0",
#   "scikit-learn==1.9.1",
#   "tokenizers==0.23.3",
#   "torch==2.15.0",
#   "transformers==5.23.0",
# ]
# ///
"""Make every fixture beside this file again.

    python Tests/Fixtures/generate.py [checkpoints representations evaluation siblings method fusion clustering adapters
                                      alignment]

Without arguments all of them. Everything is seeded; with the versions above a second run writes the same bytes, but for
the last bits of the representations, which depend on the kind of processor.
"""

import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent
sys.path.insert(0, str(FIXTURES / "generator"))

import adapters  # noqa: E402
import alignment  # noqa: E402
import checkpoints  # noqa: E402
import clustering  # noqa: E402
import evaluation  # noqa: E402
import fusion  # noqa: E402
import method  # noqa: E402
import representations  # noqa: E402
import siblings  # noqa: E402

PARTS = {
    "checkpoints": checkpoints.write_all,
    "representations": representations.write_all,
    "evaluation": evaluation.write_all,
    "siblings": siblings.write_all,
    "method": method.write_all,
    "fusion": fusion.write_all,
    "clustering": clustering.write_all,
    "adapters": adapters.write_all,
    "alignment": alignment.write_all,
}


def main() -> None:
    unknown = [name for name in sys.argv[1:] if name not in PARTS]
    if unknown:
        sys.exit(f"unknown part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in sys.argv[1:] or PARTS:
        PARTS[name](FIXTURES)
        print(f"wrote {name}")


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# A linear merge of three models of 1.1 billion parameters by Recall and by mergekit, in turn, beside the time that the
# bytes alone take.
#
#   Benchmarks/peers/mergekit.sh WORK [RUNS]      WORK takes 14 GB and keeps models and mergekit for the next run;
#                                                 5 runs of each, some ten minutes on two cores
#
# Needs a release build of recall. Close everything else: two cores shared with a build measure the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p "$1"
work=$(readlink -f "$1")
python=$work/peers/bin/python
if [[ ! -x $work/peers/bin/mergekit-yaml ]]; then
  python3 -m venv "$work/peers"
  "$work/peers/bin/pip" install --quiet --disable-pip-version-check -r Benchmarks/peers/requirements-mergekit.txt
fi
for seed in 0 1 2; do
  [[ -e $work/llama-$seed/config.json ]] || "$python" Benchmarks/peers/make_llama.py "$work/llama-$seed" --seed "$seed"
done
cc -O2 -pthread -o "$work/byte_floor" Benchmarks/peers/byte_floor.c
"$python" Benchmarks/peers/mergekit_comparison.py "$work" --recall .build/release/recall --runs "${2:-5}"

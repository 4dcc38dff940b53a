#!/usr/bin/env bash
# What has to be seen on a machine with an NVIDIA GPU, in one command and under ten minutes: every operation against its
# reference, a whole merge against the processor's, the rates beside their ceilings and goals, a merge of three models of
# 7 billion parameters, PyTorch and transformers on the same work, and the memory checker. It needs the recall binary, the
# driver, NVRTC and cuBLAS; peers are compared where python3 has them, compute-sanitizer is used where it is installed.
#
#   Benchmarks/gpu.sh [RECALL]      the binary (default: .build/release/recall)
#
# RECALL_CUDA_LIBRARIES names directories of NVRTC and cuBLAS that the loader does not search; TMPDIR where the models lie,
# 58 GB. The findings go to stdout and to Benchmarks/results/, with date, driver and commit. The exit code is 0 when all that
# was checked holds and every goal that was measured is reached, 1 when something is not so, 69 without a GPU: nothing is
# measured then.
set -uo pipefail
cd "$(dirname "$0")/.."

recall=${1:-.build/release/recall}
family=Benchmarks/continual/family
work=$(mktemp -d) || exit 73
trap 'rm -rf "$work"' EXIT
failures=0

if [[ ! -x $recall ]]; then
  echo "gpu.sh: no binary $recall; build one with swift build -c release --static-swift-stdlib --product recall" >&2
  exit 66
fi
devices=$("$recall" devices 2>&1)
if ! grep -q '^cuda:0 ' <<<"$devices"; then
  echo "gpu.sh: unmeasured, because recall opens no CUDA device:" >&2
  grep '^cuda' <<<"$devices" >&2
  echo "unmeasured: conformance, the merge against the processor's, compute-sanitizer, all rates" >&2
  exit 69
fi

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
# The emulated device of the tests must leave no results behind.
is_emulated=false
if grep -q 'tests only' <<<"$devices"; then
  is_emulated=true
  results=$work/results.md
else
  results=Benchmarks/results/$(date -u +%F)-gpu-$(hostname)-$commit.md
fi

say() { tee -a "$results"; }
# Runs a check and says how it went: its name, then the command.
check() {
  local name=$1
  shift
  if "$@" >"$work/output" 2>&1; then
    echo "- passed: $name" | say
  else
    echo "- FAILED: $name" | say
    sed 's/^/    /' "$work/output" | tail -40 | say
    failures=$((failures + 1))
    return 1
  fi
}

# goal NAME SHARE LEAST: whether a share of a ceiling, in percent, is what it has to be; the emulator has no ceilings.
goal() {
  if [[ -z $2 ]]; then
    echo "- not measured: $1" | say
  elif $is_emulated; then
    echo "- not judged: $1: $2 %, to be $3 % or more" | say
  elif (($2 >= $3)); then
    echo "- reached: $1: $2 %, to be $3 % or more" | say
  else
    echo "- MISSED: $1: $2 %, to be $3 % or more" | say
    failures=$((failures + 1))
  fi
}

# share_of PATTERN: the share of its ceiling that the stage has whose line in the bench matches.
share_of() { grep -E -m1 "$1" "$work/bench" | grep -o '[0-9]* %' | head -1 | cut -d' ' -f1; }

# merge DEVICE OUTPUT: the five experts of the repository.
merge() {
  local models=()
  for expert in sentiment extractive-qa translation reading-choice; do models+=(--model "$family/expert-$expert"); done
  "$recall" merge --device "$1" --output "$2" --anchor "$family/expert-medical-choice" "${models[@]}" \
    --samples Benchmarks/continual/data/medical-choice.train.jsonl --progress none --overwrite
}

# weights OUTPUT: the weights of all layers, one a line.
weights() {
  tr -d ' \n' <"$1/recall.json" | grep -o '"similarity":[^}]*' | grep -o '"weights":\[[^]]*\]' | grep -o '[0-9][-+.0-9eE]*'
}

weights_agree() {
  paste <(weights "$work/cpu") <(weights "$work/cuda") | awk '
    NF != 2 { print "the outputs have different numbers of weights"; wrong = 1; exit }
    { difference = $1 > $2 ? $1 - $2 : $2 - $1; if (difference > largest) largest = difference; count++ }
    END { printf "largest difference of %d weights: %g\n", count, largest; exit wrong || count == 0 || largest > 1e-3 }' |
    tee "$work/difference"
}

same_bytes() {
  for device in cpu cuda; do
    "$recall" fuse --device "$device" --weights "$work/cpu/recall.json" --output "$work/fused-$device" --progress none ||
      return 1
  done
  cmp "$work/fused-cpu/model.safetensors" "$work/fused-cuda/model.safetensors"
}

# align DEVICE OUTPUT: two experts, their linear maps solved for.
align() {
  local options=()
  for task in sentiment translation; do
    options+=(--model "$family/expert-$task" --samples-for "$family/expert-$task=Benchmarks/continual/data/$task.train.jsonl")
  done
  "$recall" merge --method recall-align --device "$1" --output "$2" --base "$family/base" "${options[@]}" --typical 4 \
    --balance equal --progress none --overwrite
}

# share MODEL: what a model answers rightly of both tasks, on the processor.
share() {
  "$recall" evaluate --device cpu --model "$1" --tasks Benchmarks/continual/data/sentiment.test.jsonl \
    --tasks Benchmarks/continual/data/translation.test.jsonl --json --progress none |
    tr -d ' \n' | sed 's/"averages".*//' | grep -o '"value":[0-9.eE+-]*' | cut -d: -f2 |
    awk '{ sum += $1 } END { print NR == 2 ? sum / 2 : "none" }'
}

aligned_keep_as_much() {
  local cpu cuda
  cpu=$(share "$work/aligned-cpu") && cuda=$(share "$work/aligned-cuda") || return 1
  echo "answered rightly: $cpu after the processor's merge, $cuda after CUDA's"
  awk -v cpu="$cpu" -v cuda="$cuda" 'BEGIN { difference = cpu - cuda; exit !(cpu > 0.5 && difference < 0.01 && difference > -0.01) }'
}

{
  echo "# CUDA, $(date -u '+%F %H:%M') UTC, commit $commit"
  echo
  sed 's/^/    /' <<<"$devices"
  command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | sed 's/^/    /'
  echo
} | say

check "recall conform --device cuda" "$recall" conform --device cuda --progress none
check "a merge on the processor" merge cpu "$work/cpu"
check "a merge on CUDA" merge cuda "$work/cuda"
check "their weights agree within 1e-3" weights_agree
[[ -s $work/difference ]] && sed 's/^/  /' "$work/difference" | say
check "the same weights give the same bytes" same_bytes

check "recall-align on the processor" align cpu "$work/aligned-cpu"
check "recall-align on CUDA" align cuda "$work/aligned-cuda"
check "both keep as much" aligned_keep_as_much

# Three models of 7 billion parameters and what they become take 58 GB; where there is less room, they have fewer blocks. The
# emulator gets small ones.
free=$(df --output=avail -B1000000000 "$work" | tail -1)
blocks=$(((free - 5) * 32 / 53))
((blocks < 32)) || blocks=32
shape=(--layers "$blocks")
$is_emulated && shape=(--layers 2 --hidden 256 --intermediate 512 --heads 2 --key-value-heads 2 --texts 24 --tokens 32)
models=()
if $is_emulated || ((blocks >= 4)); then
  for name in a b c; do
    check "a random Llama, ${shape[*]}" Benchmarks/peers/random_llama.sh "$work/llama-$name" "${shape[@]}" &&
      models+=(--model "$work/llama-$name")
  done
  echo "  memory for the page cache: $(awk '/MemAvailable/ { print int($2 / 1e6) " GB" }' /proc/meminfo) free" | say
else
  echo "- not measured: three models of 7 billion parameters, for which $work has no room: $free GB free" | say
fi

# Without all three, what needs no model is measured all the same.
((${#models[@]} == 6)) || models=()
feed=()
((${#models[@]})) && feed=("${models[@]}" --feed --samples "$work/llama-a/input_ids.jsonl" --typical 20)
$is_emulated && feed+=(--quick)
check "recall bench --device cuda" "$recall" bench --device cuda "${feed[@]}" --directory "$work" \
  --output "$work/bench.json" --progress none
cp "$work/output" "$work/bench"
sed 's/^/    /' "$work/bench" | say
goal "the sum of three bfloat16 tensors, of a copy" "$(share_of '^weightedSum .* 3 × bfloat16')" 90
goal "the RBF matrix, of the float32 product alone" "$(share_of '^radialBasisKernel ')" 84
goal "extraction, of the bfloat16 product" "$(share_of '^extraction ')" 60
goal "blocks in the page cache to the device, of a pinned copy" "$(share_of '^their blocks brought')" 90
if ((${#models[@]})); then
  check "a merge of these models" "$recall" merge --device cuda --anchor "$work/llama-c" "${models[@]:0:4}" \
    --samples "$work/llama-a/input_ids.jsonl" --typical 20 --output "$work/merged" --progress none
  sed 's/^/    /' "$work/output" | tail -12 | say
  rm -rf "$work/merged" "$work"/llama-?
fi

if command -v python3 >/dev/null; then
  timeout 150 python3 Benchmarks/peers/gpu_comparison.py "$work/bench.json" 2>"$work/output" | say
  case ${PIPESTATUS[0]} in
    0) ;;
    3) $is_emulated || failures=$((failures + 1)) ;;
    *) { echo "- not compared: gpu_comparison.py failed" && sed 's/^/    /' "$work/output" | tail -5; } | say ;;
  esac
else
  echo "- not compared: PyTorch and transformers, python3 is not installed" | say
fi

# It slows kernels down by ten and more, so it gets the time that is left.
left=$((570 - SECONDS))
if ! command -v compute-sanitizer >/dev/null; then
  echo "- not checked: compute-sanitizer is not installed" | say
elif ((left < 30)); then
  echo "- not checked: compute-sanitizer, for which ten minutes leave no time" | say
else
  if timeout "$left" compute-sanitizer --error-exitcode 1 "$recall" conform --device cuda \
    --progress none >"$work/output" 2>&1; then
    echo "- passed: compute-sanitizer on recall conform" | say
  elif (($? == 124)) && ! grep -q '=========.*\(Invalid\|error\)' "$work/output"; then
    echo "- not checked to the end: compute-sanitizer on recall conform, without errors until ten minutes were over" | say
  else
    echo "- FAILED: compute-sanitizer on recall conform" | say
    sed 's/^/    /' "$work/output" | tail -40 | say
    failures=$((failures + 1))
  fi
fi

echo "$failures checks failed" | say
((failures == 0))

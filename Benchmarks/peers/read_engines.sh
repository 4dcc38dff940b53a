#!/usr/bin/env bash
# Reads files in pieces of 4 MiB: plainly, directly and through io_uring, in turn, warm and cold. Shows what there is to win
# for a merge that reads with `pread` on four threads. Needs fio and jq.
#
#   Benchmarks/peers/read_engines.sh RUNS FILE...      prints GB/s of every run, in rising order
set -euo pipefail
runs=$1
shift
files=("$@")
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

engines=(
  '`pread`, 4 threads                       |4 --ioengine=psync'
  'io_uring, 1 thread, 4 pieces at a time   |1 --ioengine=io_uring --iodepth=4'
  'io_uring, 4 threads, 4 pieces at a time  |4 --ioengine=io_uring --iodepth=4'
  '`pread`, 4 threads, `O_DIRECT`           |4 --ioengine=psync --direct=1'
  'io_uring, 1 thread, 8 pieces, `O_DIRECT` |1 --ioengine=io_uring --iodepth=8 --direct=1'
)

# Every job reads its share of every file, so that all bytes are read once.
measure() { # CACHE JOBS OPTION...
  local invalidate=1 share=$((100 / $2))%
  if [[ $1 == warm ]]; then
    invalidate=0
    cat "${files[@]}" >/dev/null
  fi
  fio --name=read --filename="$(IFS=:; echo "${files[*]}")" --file_service_type=sequential --rw=read --bs=4m --thread \
    --numjobs="$2" --size=$share --offset_increment=$share --invalidate=$invalidate --group_reporting \
    --output-format=json "${@:3}" | jq '.jobs[0].read.bw_bytes / 1e9'
}

for cache in warm cold; do
  for ((run = 0; run < runs; run++)); do
    for engine in "${!engines[@]}"; do
      read -ra options <<<"${engines[engine]#*|}"
      measure $cache "${options[@]}" >>"$results/$cache-$engine"
    done
  done
  for engine in "${!engines[@]}"; do
    echo "| $cache | ${engines[engine]%|*} | $(sort -n "$results/$cache-$engine" | xargs printf '%.2f ')|"
  done
done

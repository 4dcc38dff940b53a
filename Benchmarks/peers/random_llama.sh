#!/usr/bin/env bash
# Writes a Llama checkpoint of random bfloat16 weights with bash and coreutils alone, for servers where no Python is.
#
#   Benchmarks/peers/random_llama.sh OUT [--layers 32] [--hidden 4096] [--intermediate 11008] [--heads 32]
#                                        [--key-value-heads 32] [--vocabulary 32000] [--texts 64] [--tokens 256]
#
# The defaults have the shape of Llama-2-7B, 13.5 GB. OUT, new or empty, receives the checkpoint in files of at most 5 GB
# of tensors, without a tokenizer, and `input_ids.jsonl`, so many texts of so many tokens. Every call writes other weights
# and the same texts. The weights repeat a tile of random bytes, with a length that no block has, so all blocks differ.
set -euo pipefail
export LC_ALL=C

fail() {
  echo "random_llama.sh: $1" >&2
  exit 64
}

layers=32 hidden=4096 intermediate=11008 heads=32 key_value_heads=32 vocabulary=32000 texts=64 tokens=256
output=${1:-}
[[ -n $output && $output != -* ]] || fail "expected a directory to write first"
shift
while (($# > 0)); do
  [[ ${2:-} =~ ^[1-9][0-9]{0,8}$ ]] || fail "expected a number from 1 to 999999999 after $1"
  case $1 in
    --layers | --hidden | --intermediate | --heads | --key-value-heads | --vocabulary | --texts | --tokens)
      option=${1#--}
      printf -v "${option//-/_}" %s "$2"
      ;;
    *) fail "unknown option $1" ;;
  esac
  shift 2
done
((hidden % (2 * heads) == 0 && heads % key_value_heads == 0)) || fail "the heads do not divide the width or each other"
((tokens <= 4096)) || fail "expected texts of at most 4096 tokens, which the model has positions for"
((vocabulary > 3)) || fail "expected a vocabulary of more than the 3 special tokens"
mkdir -p "$output"
[[ -z $(ls -A "$output") ]] || fail "$output is not empty"

shard_limit=5000000000
# A prime, so that the tile begins at another place of every block.
longest_tile=249999991
names=() shapes=() sizes=() shards=()
total=0 shard=1 filled=0

# tensor NAME ROWS [COLUMNS]: appends a tensor to the model and chooses its file.
tensor() {
  local size=$((2 * $2 * ${3:-1}))
  if ((filled > 0 && filled + size > shard_limit)); then
    shard=$((shard + 1)) filled=0
  fi
  names+=("$1") shapes+=("$2${3:+,$3}") sizes+=("$size") shards+=("$shard")
  filled=$((filled + size)) total=$((total + size))
}

key_value=$((hidden / heads * key_value_heads))
tensor model.embed_tokens.weight "$vocabulary" "$hidden"
for ((layer = 0; layer < layers; layer++)); do
  block=model.layers.$layer
  tensor "$block.input_layernorm.weight" "$hidden"
  tensor "$block.self_attn.q_proj.weight" "$hidden" "$hidden"
  tensor "$block.self_attn.k_proj.weight" "$key_value" "$hidden"
  tensor "$block.self_attn.v_proj.weight" "$key_value" "$hidden"
  tensor "$block.self_attn.o_proj.weight" "$hidden" "$hidden"
  tensor "$block.post_attention_layernorm.weight" "$hidden"
  tensor "$block.mlp.gate_proj.weight" "$intermediate" "$hidden"
  tensor "$block.mlp.up_proj.weight" "$intermediate" "$hidden"
  tensor "$block.mlp.down_proj.weight" "$hidden" "$intermediate"
done
tensor model.norm.weight "$hidden"
tensor lm_head.weight "$vocabulary" "$hidden"

tile=$output/.tile gains=$output/.gains
trap 'rm -f "$tile" "$gains"' EXIT
tile_size=$((total < longest_tile ? total : longest_tile))
# Any two of these bytes are a bfloat16 of either sign between 0.003 and 0.023.
head -c "$tile_size" /dev/urandom | tr '\000-\377' '[\073*64][\074*64][\273*64][\274*64]' >"$tile"
# 1.0 for every element of a norm; seq has `printf` repeat its format.
printf '\200\077%.0s' $(seq "$hidden") >"$gains"

# weights BYTES: goes on in the tile where the last call stopped.
position=0
weights() {
  local left=$1 part
  while ((left > 0)); do
    part=$((left < tile_size - position ? left : tile_size - position))
    dd if="$tile" bs=1M iflag=skip_bytes,count_bytes skip="$position" count="$part" status=none
    position=$(((position + part) % tile_size)) left=$((left - part))
  done
}

# header SHARD: length and JSON of a safetensors file, padded for the tensors to be aligned.
header() {
  local text='{"__metadata__":{"format":"pt"}' offset=0 index byte shift
  for index in "${!names[@]}"; do
    ((shards[index] == $1)) || continue
    text+=",\"${names[index]}\":{\"dtype\":\"BF16\",\"shape\":[${shapes[index]}],"
    text+="\"data_offsets\":[$offset,$((offset + sizes[index]))]}"
    offset=$((offset + sizes[index]))
  done
  text+=}
  printf -v text '%-*s' $(((${#text} + 7) / 8 * 8)) "$text"
  for ((shift = 0; shift < 64; shift += 8)); do
    printf -v byte '\\x%02x' $((${#text} >> shift & 255))
    printf "$byte"
  done
  printf %s "$text"
}

# tensors SHARD: maps that follow each other are one run of weights.
tensors() {
  local run=0 index
  for index in "${!names[@]}"; do
    ((shards[index] == $1)) || continue
    if [[ ${names[index]} == *norm.weight ]]; then
      weights "$run"
      run=0
      cat "$gains"
    else
      run=$((run + sizes[index]))
    fi
  done
  weights "$run"
}

# file SHARD: its name.
file() {
  if ((shard == 1)); then echo model.safetensors; else printf 'model-%05d-of-%05d.safetensors\n' "$1" "$shard"; fi
}

# index: which file has which tensor.
index() {
  local index separator=
  printf '{\n  "metadata": {"total_size": %d},\n  "weight_map": {' "$total"
  for index in "${!names[@]}"; do
    printf '%s\n    "%s": "%s"' "$separator" "${names[index]}" "$(file "${shards[index]}")"
    separator=,
  done
  printf '\n  }\n}\n'
}

# samples: JSON lines of token ids, from a linear congruence, because $RANDOM differs between versions of bash.
samples() {
  local state=0 text token ids
  for ((text = 0; text < texts; text++)); do
    ids=
    for ((token = 0; token < tokens; token++)); do
      state=$((state * 6364136223846793005 + 1442695040888963407))
      ids+=${ids:+, }$((3 + (state >> 33 & 0x7fffffff) % (vocabulary - 3)))
    done
    echo "{\"input_ids\": [$ids]}"
  done
}

cat >"$output/config.json" <<END
{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "hidden_act": "silu",
  "hidden_size": $hidden,
  "intermediate_size": $intermediate,
  "num_hidden_layers": $layers,
  "num_attention_heads": $heads,
  "num_key_value_heads": $key_value_heads,
  "vocab_size": $vocabulary,
  "max_position_embeddings": 4096,
  "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0,
  "attention_bias": false,
  "tie_word_embeddings": false,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "torch_dtype": "bfloat16"
}
END
samples >"$output/input_ids.jsonl"
for ((number = 1; number <= shard; number++)); do
  {
    header "$number"
    tensors "$number"
  } >"$output/$(file "$number")"
done
if ((shard > 1)); then index >"$output/model.safetensors.index.json"; fi
echo "$output: $((total / 2)) parameters, $total bytes"

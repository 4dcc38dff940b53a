"""The architectures as data: one small configuration per thing that a reader of checkpoints can get wrong.

Configurations are written as they stand here, since both vocabularies that are in use have to be read: the older one
with `torch_dtype`, `rope_theta` and `rope_scaling`, and the newer one with `dtype` and `rope_parameters`.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """One checkpoint to write."""

    name: str
    dtype: str
    tokenizer: str
    configuration: dict[str, Any]
    # The same model in the other vocabulary, to be written beside it.
    alternative_configuration: dict[str, Any] | None = None
    shards: int = 1
    stores_tied_head: bool = False
    extra_files: dict[str, str] = field(default_factory=dict)


def llama(**changes: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 72,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "initializer_range": 0.02,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": 283,
        "bos_token_id": 0,
        "eos_token_id": 1,
    } | changes


def mistral(**changes: Any) -> dict[str, Any]:
    configuration = llama(architectures=["MistralForCausalLM"], model_type="mistral") | changes
    for unused in ("attention_bias", "mlp_bias"):
        del configuration[unused]
    return configuration


def qwen2(**changes: Any) -> dict[str, Any]:
    configuration = llama(architectures=["Qwen2ForCausalLM"], model_type="qwen2", rms_norm_eps=1e-6) | changes
    for unused in ("attention_bias", "mlp_bias"):
        del configuration[unused]
    return configuration


def qwen3(**changes: Any) -> dict[str, Any]:
    configuration = llama(architectures=["Qwen3ForCausalLM"], model_type="qwen3", rms_norm_eps=1e-6) | changes
    del configuration["mlp_bias"]
    return configuration


# With rotary base 500 and 16 dimensions a head, wavelengths run 6.3, 13.7, 29.7, 64.7 …: the bands of this scaling keep
# the first, blend the next two and divide the rest by the factor.
LLAMA_3_SCALING = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

GENERATION_CONFIGURATION = """{
  "bos_token_id": 0,
  "eos_token_id": [1, 2],
  "do_sample": true,
  "temperature": 0.6
}
"""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
)

FAMILIES = [
    # Every head its own key and value, SentencePiece-like tokenizer, configuration as in 2023, without head_dim.
    Family(
        name="llama-2",
        dtype="float32",
        tokenizer="byte-fallback",
        configuration=llama(
            num_key_value_heads=4,
            vocab_size=317,
            bos_token_id=1,
            eos_token_id=2,
            rope_theta=10000.0,
            torch_dtype="float32",
        ),
    ),
    # Grouped heads and scaled rotary frequencies, in both vocabularies.
    Family(
        name="llama-3.1",
        dtype="bfloat16",
        tokenizer="split",
        configuration=llama(
            hidden_size=48,
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=16,
            intermediate_size=88,
            rope_parameters={"rope_type": "llama3", "rope_theta": 500.0} | LLAMA_3_SCALING,
            dtype="bfloat16",
        ),
        alternative_configuration=llama(
            hidden_size=48,
            num_attention_heads=3,
            num_key_value_heads=1,
            intermediate_size=88,
            rope_theta=500.0,
            rope_scaling={"rope_type": "llama3"} | LLAMA_3_SCALING,
            torch_dtype="bfloat16",
        ),
        extra_files={"generation_config.json": GENERATION_CONFIGURATION},
    ),
    # The window is shorter than most samples.
    Family(
        name="mistral",
        dtype="float16",
        tokenizer="byte-level",
        configuration=mistral(sliding_window=8, rope_theta=10000.0, torch_dtype="float16"),
    ),
    # Heads wider together than the residual stream, and no window.
    Family(
        name="mistral-head-dim",
        dtype="bfloat16",
        tokenizer="byte-level",
        configuration=mistral(
            hidden_size=40,
            head_dim=16,
            sliding_window=None,
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
            dtype="bfloat16",
        ),
    ),
    # Biases on queries, keys and values; tied head; a window that is named but not used.
    Family(
        name="qwen2",
        dtype="bfloat16",
        tokenizer="qwen",
        configuration=qwen2(
            tie_word_embeddings=True,
            use_sliding_window=False,
            sliding_window=8,
            max_window_layers=2,
            rope_theta=1000000.0,
            torch_dtype="bfloat16",
        ),
        extra_files={"chat_template.jinja": CHAT_TEMPLATE},
    ),
    # The window holds from layer 2 on, and only max_window_layers says so.
    Family(
        name="qwen2-window",
        dtype="bfloat16",
        tokenizer="qwen",
        configuration=qwen2(
            num_hidden_layers=4,
            num_key_value_heads=1,
            use_sliding_window=True,
            sliding_window=8,
            max_window_layers=2,
            rope_theta=10000.0,
            torch_dtype="bfloat16",
        ),
    ),
    # Norms on queries and keys, explicit head_dim, the layers' kinds spelled out.
    Family(
        name="qwen3",
        dtype="bfloat16",
        tokenizer="qwen",
        configuration=qwen3(
            head_dim=16,
            use_sliding_window=False,
            sliding_window=None,
            max_window_layers=3,
            layer_types=["full_attention", "full_attention", "full_attention"],
            rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
            dtype="bfloat16",
        ),
    ),
    # Positions divided by the factor; the scaling's kind under its oldest name, "type".
    Family(
        name="llama-linear-rope",
        dtype="float16",
        tokenizer="byte-level",
        configuration=llama(
            rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 4.0}, torch_dtype="float16"
        ),
    ),
    # A bias on every map.
    Family(
        name="llama-biases",
        dtype="bfloat16",
        tokenizer="byte-level",
        configuration=llama(attention_bias=True, mlp_bias=True, rope_theta=10000.0, torch_dtype="bfloat16"),
    ),
    # Three files and an index.
    Family(
        name="llama-sharded",
        dtype="bfloat16",
        tokenizer="byte-level",
        configuration=llama(rope_theta=10000.0, torch_dtype="bfloat16"),
        shards=3,
    ),
    # Tied by the configuration, yet the head is stored as well, in another file than the embedding.
    Family(
        name="llama-tied-stored-head",
        dtype="bfloat16",
        tokenizer="byte-level",
        configuration=llama(tie_word_embeddings=True, rope_theta=10000.0, torch_dtype="bfloat16"),
        shards=2,
        stores_tied_head=True,
    ),
]

"""Real architectures in tiny, by name: what a check on module trees is tried on."""

from typing import Any

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
ROPE = {"rope_type": "default", "rope_theta": 1e4}

ZOO: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SIZES),
    "qwen3": ("Qwen3Config", {**SIZES, "head_dim": 8, "tie_word_embeddings": True}),
    "gemma2": ("Gemma2Config", {**SIZES, "head_dim": 8}),
    "phi3": ("Phi3Config", SIZES),
    "opt": ("OPTConfig", {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    "gpt_neox": ("GPTNeoXConfig", SIZES),
    "falcon": ("FalconConfig", SIZES),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 4, "n_head": 4, "vocab_size": 128}),
    "mamba": ("MambaConfig", SIZES),
    "mixtral": ("MixtralConfig", {**SIZES, "num_local_experts": 4}),
    "qwen2_moe": ("Qwen2MoeConfig", {**SIZES, **EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 16}),
    "qwen3_moe": ("Qwen3MoeConfig", {**SIZES, **EXPERTS, "num_experts": 4, "head_dim": 8}),
    "gpt_oss": ("GptOssConfig", {**SIZES, "head_dim": 8, "num_local_experts": 4}),
    "llama4_text": (
        "Llama4TextConfig",
        {**SIZES, "head_dim": 8, "intermediate_size_mlp": 64, "num_local_experts": 4},
    ),
    "qwen3_next": (
        "Qwen3NextConfig",
        {**SIZES, **EXPERTS, "num_experts": 4, "head_dim": 8, "shared_expert_intermediate_size": 16}
        | {"linear_num_key_heads": 2, "linear_num_value_heads": 2}
        | {"linear_key_head_dim": 8, "linear_value_head_dim": 8},
    ),
    "gemma3": (
        "Gemma3Config",
        {
            "text_config": {**SIZES, "head_dim": 8},
            "vision_config": {**VISION, "image_size": 28, "patch_size": 14},
            "mm_tokens_per_image": 4,
        },
    ),
    "llava": (
        "LlavaConfig",
        {
            "text_config": {**SIZES, "model_type": "llama"},
            "vision_config": {
                **VISION,
                "model_type": "clip_vision_model",
                "projection_dim": 32,
                "image_size": 28,
                "patch_size": 14,
            },
        },
    ),
    "qwen2_vl": (
        "Qwen2VLConfig",
        {
            "text_config": {**SIZES, "rope_parameters": {**ROPE, "mrope_section": [1, 1, 2]}},
            "vision_config": {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2},
        },
    ),
    "qwen2_audio": (
        "Qwen2AudioConfig",
        {
            "text_config": {**SIZES, "model_type": "qwen2"},
            "audio_config": {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64},
        },
    ),
}


def settings_of(name: str) -> Any:
    """The `transformers` config of a model of the zoo."""
    import transformers

    kind, values = ZOO[name]
    return getattr(transformers, kind)(**values)

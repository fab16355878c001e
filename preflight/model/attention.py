"""Which attention implementations a model's class takes."""

from preflight.config import Config


def refusal(config: Config, implementation: str) -> str | None:
    """Why transformers refuses an `attn_implementation` for this model, in its words; None if it doesn't.

    A package that isn't installed here is not the model's fault, and not judged.

    Raises:
        ModelFilesError: there is no usable `config.json`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from preflight.model import build, files

    trusted = config.model.trust_remote_code
    files.model_config(config)
    try:
        settings = AutoConfig.from_pretrained(files.folder_of(config), trust_remote_code=trusted)
        # Whether a class takes a backend doesn't depend on how many layers there are.
        text = settings.get_text_config()
        if isinstance(getattr(text, "num_hidden_layers", None), int) and not getattr(text, "layer_types", None):
            text.num_hidden_layers = 1
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(
                settings, attn_implementation=implementation, trust_remote_code=trusted, dtype=torch.bfloat16
            )
    except ImportError:
        return None
    except Exception as error:  # transformers raises anything here
        return build.short(error)
    return None

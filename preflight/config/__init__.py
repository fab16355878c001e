"""The config file: read, validated against the installed libraries, every fault reported at once.

``load_config`` reads a YAML file and returns a frozen :class:`Config`, or raises one :class:`ConfigError` that holds
every fault with its line. Nothing here imports torch, transformers, TRL or peft.
"""

from .load import load_config
from .model import Config, Section
from .problems import ConfigError, Problem

__all__ = ["Config", "ConfigError", "Problem", "Section", "load_config"]

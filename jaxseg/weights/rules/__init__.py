"""Renaming rules by (source, family): RULES[('torchvision', 'resnet')]."""

from __future__ import annotations

from jaxseg.weights.rule import Rule

RULES: dict[tuple[str, str], tuple[Rule, ...]] = {}

"""nano: the small Qwen2-VL of this repository, from nothing to its backbone, and the pairs that its two stages draw.

The stages themselves are trained by a recipe, like those of any other model (`reference_model/train`).
"""

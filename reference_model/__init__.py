"""UNITE (arXiv 2505.19650) as a model that anyone can read, run and train; `--model reference` is its small form, nano.

    prompt.py       item -> the words of the prompt (pure)
    preprocess.py   pixels -> Qwen2-VL patches (torch, on the device)
    backbone.py     checkpoint folder -> model; prompts and patches -> last-token vectors
    embedder.py     the adapter through which unite-bench runs it
    train/          the backbone stage, UNITE's two stages, and what feeds them

This package may import `unite_bench`; `unite_bench` never imports this package.
"""

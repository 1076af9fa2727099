"""UNITE (arXiv 2505.19650) as a model that anyone can read, run and train; `--model reference` is its small form, nano.

    prompt.py       item -> the words of the prompt (pure)
    preprocess.py   pixels -> patches (torch, on the device)
    checkpoint.py   name -> checkpoint: its folder, kind, rules and budgets (no torch)
    backbone.py     checkpoint -> model; prompts and patches -> last-token vectors
    embedder.py     the adapter through which unite-bench runs it
    train/          the backbone stage, UNITE's two stages, and what feeds them

This package may import `unite_bench`; `unite_bench` never imports this package.
"""

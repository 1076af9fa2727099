"""From items to vectors, fast: the one code path for CPU, CUDA and MPS.

decoding.py    parts -> uint8 frames, in worker processes, ahead of the model
features.py    visual features by part digest, so that every picture and clip goes through the vision tower once
attention.py   attention over packed prompts: a varlen kernel where there is one, else torch's own
language.py    packed prompts -> last-token vectors; the shared opening of the prompt is computed once
memory.py      pieces within a budget, halved when memory runs out
lane.py        one device: frames up, features, vectors
engine.py      what is asked, what comes next, which lane does it
"""

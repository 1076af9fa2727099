"""From items to vectors, fast: the one code path for CPU, CUDA and MPS.

decoding.py    parts -> uint8 frames, in worker processes, ahead of the model
features.py    visual features by part digest, so that every picture and clip goes through the vision tower once
memory.py      pieces within a budget, halved when memory runs out
lane.py        one device: frames up, features, vectors
engine.py      what is asked, what comes next, which lane does it

The pass itself, over packed prompts behind their shared opening, is `Backbone.vectors` (states.py, packing.py).
"""

"""Embedders that take a shortcut: what a task gives away to one that looks at the wrong thing.

Each scores a text against a picture or clip by one cheap property. On a task that holds what it promises they score
chance; where one scores more, its column beside a model's says what the model's score may be owed to.
"""

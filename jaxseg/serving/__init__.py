"""Serving an artifact: needs jax and numpy, and nothing else of this project.

`python -m jaxseg.predict` is the program; `artifact.load` and `pieces.whole`
are its functions.
"""

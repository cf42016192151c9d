"""Decoders: the maps of an encoder -> one map, the last before the heads.

`decoder({'c1': ..., 'c5': ...}, train=) -> (b, h', w', width)`. Networks of
the papers and of the kit (`models.kit`) are made of them.
"""

"""Building blocks shared by two or more papers, written in ``keras`` and ``keras.ops`` only.

A block used by a single paper stays in that paper's model file.
"""

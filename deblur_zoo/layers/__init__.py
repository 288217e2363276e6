"""Building blocks that two or more papers use, written in ``keras`` and ``keras.ops`` alone.
A block that a single paper needs stays in that paper's model file.
"""

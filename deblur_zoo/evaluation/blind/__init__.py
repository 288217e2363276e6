"""Judge restorations of real photos, which have no sharp version, without knowing which method made which.

``python -m deblur_zoo.evaluation.blind`` writes the page, and counts the votes that it saves.
"""

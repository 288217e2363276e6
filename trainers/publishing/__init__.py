"""A run becomes a preset: its weights are converted and measured, and get a card and a row of the index.
``python -m trainers.publishing.publish`` does that, ``python -m trainers.publishing.cards`` writes cards anew.
"""

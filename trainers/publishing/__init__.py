"""Publish a run as a preset: convert and measure its weights, write its card and its row of the index.

``python -m trainers.publishing.publish`` does that; ``python -m trainers.publishing.cards`` rewrites only the cards.
"""

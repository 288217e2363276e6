"""Presets as data: ``index.json`` and a folder each with config, weights, recipe and model card.
No code lives here; ``deblur_zoo.zoo`` reads it.
"""

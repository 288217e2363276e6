"""One trainer a method (losses, optimisers, stages) and one training step per backend.
``python -m trainers`` trains a preset from the recipe that travels with it.
"""

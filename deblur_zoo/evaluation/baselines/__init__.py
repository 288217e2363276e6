"""Classical methods that stand beside the models in reports: classical.py scikit-image's, krishnan.py a blind one.

``python -m deblur_zoo.evaluation.baselines`` prints how their constants were chosen.
"""

"""A run in a folder: recipe, preparation, stages, checkpoints, callbacks, logs and the record of what was done.
``run.py`` runs the stages and resumes an interrupted run.
"""

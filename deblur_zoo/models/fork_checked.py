"""The base class of all models: an error where one is run in a forked process, which would wait for ever."""

import keras

from deblur_zoo.files import forks


class ForkCheckedModel(keras.Model):
    """A ``keras.Model`` that cannot be run in processes forked after it was made; see ``deblur_zoo.files.forks``."""

    def __init__(self, **kwargs):
        forks.guard()
        super().__init__(**kwargs)

    def __call__(self, *arguments, **options):
        forks.check()
        return super().__call__(*arguments, **options)

    def make_predict_function(self, force=False):
        """Keras calls it in ``predict`` and ``predict_on_batch``, which do not call the model once it is compiled."""
        forks.check()
        self._create_weights()
        return super().make_predict_function(force)

    def make_train_function(self, force=False):
        self._create_weights()
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        self._create_weights()
        return super().make_test_function(force)

    def _create_weights(self):
        # Outside the function that is compiled: if that rejects the first input, its weights stay uninitialised.
        if not self.built:
            self.build()

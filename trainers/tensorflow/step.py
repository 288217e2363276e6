"""The training step under TensorFlow."""

import tensorflow as tf

from trainers.restoration_trainer import RestorationTrainer


class TensorFlowTrainer(RestorationTrainer):
    """RestorationTrainer with a GradientTape step."""

    def train_step(self, data):
        """One step on a batch (blurred, sharp); gives the running means for the progress bar."""
        blurred, sharp = data
        with tf.GradientTape() as tape:
            loss, terms = self.loss_and_terms(blurred, sharp)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.update_average()
        return self.update_trackers(loss, terms)

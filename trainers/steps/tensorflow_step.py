"""The training step under TensorFlow."""

import tensorflow as tf

from trainers.steps.restoration_trainer import CRITIC, GENERATOR, RestorationTrainer


class TensorFlowTrainer(RestorationTrainer):
    """RestorationTrainer with GradientTape steps, on one device or on the replicas of a ``tf.distribute`` strategy.

    Create trainer, models and each stage's optimisers, and start stages, within the strategy's scope.
    """

    @property
    def replicas(self):
        return self.distribute_strategy.num_replicas_in_sync

    def train_step(self, data):
        """One step on a batch (blurred, sharp[, labels]); returns the running means for the progress bar."""
        batches = self.batches_of(data, tf.distribute.get_replica_context().replica_id_in_sync_group)
        with tf.GradientTape() as tape:
            loss, terms, outputs = self.generator_loss(batches[0])
            scaled = self.optimizer.players[GENERATOR].scale_loss(loss)
        self._apply(GENERATOR, tape, scaled, self.generator_variables)
        values = {"loss": loss, **terms}
        if self.method.critic_weights:
            for i, batch in enumerate(batches):
                estimates = outputs if i == 0 else self.method.outputs(self.model, batch)
                values |= self._critic_step(batch, estimates)
        self.update_average()
        return self.update_trackers(values)

    def _critic_step(self, batch, outputs):
        with tf.GradientTape() as tape:
            loss, terms = self.critic_loss(batch, outputs, _input_gradient)
            scaled = self.optimizer.players[CRITIC].scale_loss(loss)
        self._apply(CRITIC, tape, scaled, self.critic.trainable_variables)
        return {"critic_loss": loss, **terms}

    def _apply(self, player, tape, loss, variables):
        # TensorFlow's own variables: zeros like a Keras variable fail if a network is not used in a stage.
        sources = [variable.value for variable in variables]
        gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            # The optimiser sums over replicas after clipping and, for float16, after its overflow check. With the same
            # mean divided by their number on each replica, both see what a single replica would see.
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
            gradients = [gradient / replicas for gradient in gradients]
        self.optimizer.players[player].apply(gradients, variables)


def _input_gradient(function, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(function(images))
    return tape.gradient(total, images)

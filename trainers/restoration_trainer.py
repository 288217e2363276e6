"""What every backend's restoration trainer shares: the trained model, its moving average, its progress bar."""

import keras
from keras import ops


class RestorationTrainer(keras.Model):
    """A deblurring model in training. ``fit`` takes batches (blurred, sharp), uint8 (N, H, W, 3).

    Args:
        model: the Deblurrer to train.
        average: a second Deblurrer of the same configuration that holds the moving average of the weights; it
            is what validation measures and what is shipped.
        decay: of the moving average, per step; it starts lower, so that the first steps are soon forgotten.

    ``losses`` is set per stage: an object with ``terms(truth, estimate)`` and ``total(terms)``.
    """

    def __init__(self, model, average, decay=0.999, **kwargs):
        super().__init__(**kwargs)
        model.build()
        average.build()
        average.trainable = False
        for target, source in zip(average.weights, model.weights, strict=True):
            target.assign(source)
        self.model = model
        self.average = average
        self.decay = decay
        self.losses_of_stage = None
        self.schedule = None
        self.trackers = {}
        # Over all stages, where the optimiser's own count starts anew with each.
        self.step = keras.Variable(0, trainable=False, dtype="int64", name="step")
        self.built = True

    def start_stage(self, optimizer, schedule, losses):
        """Begin a stage with its own losses and a fresh optimiser, whose learning rate is a ``Schedule``."""
        self.losses_of_stage = losses
        self.schedule = schedule
        optimizer.learning_rate = schedule
        names = ["loss", *losses.weights]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.compile(optimizer=optimizer, jit_compile=False)
        optimizer.build(self.model.trainable_variables)
        self.schedule.attach(optimizer)

    @property
    def metrics(self):
        return list(self.trackers.values())

    def call(self, images, training=False):
        return self.model(images, training=training)

    def loss_and_terms(self, blurred, sharp):
        """The stage's loss on one batch of uint8 pairs, as (loss, terms)."""
        truth = ops.cast(sharp, "float32") / 255.0
        estimate = self.model(ops.cast(blurred, "float32") / 255.0, training=True)
        terms = self.losses_of_stage.terms(truth, estimate)
        return self.losses_of_stage.total(terms), terms

    def update_average(self):
        """Move the average towards the model's weights."""
        step = ops.cast(self.step, "float32")
        self.step.assign(self.step + 1)
        decay = ops.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for target, source in zip(self.average.weights, self.model.weights, strict=True):
            target.assign(target + (1.0 - decay) * (source - target))

    def update_trackers(self, loss, terms):
        self.trackers["loss"].update_state(loss)
        for name, value in terms.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

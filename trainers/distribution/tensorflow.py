"""Several replicas under TensorFlow: the devices of one machine, or the machines in TF_CONFIG."""

import json
import os

import keras
import numpy as np
import tensorflow as tf

from trainers.distribution.base import Distribution, ReplicaPairMaker, WorkerLost
from trainers.steps.engines import training_batches

# Errors of collective operations when a participating machine has gone.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


class Mirrored(Distribution):
    """tf.distribute.MirroredStrategy: one process, one replica per GPU (or per part of the CPU).

    Args:
        replicas: number of replicas; None: one for each GPU.

    Raises:
        ValueError: fewer GPUs than replicas, or TensorFlow was initialised before the CPU was split.
    """

    def __init__(self, replicas=None):
        gpus = tf.config.list_physical_devices("GPU")
        count = replicas or len(gpus) or 1
        if gpus and count > len(gpus):
            raise ValueError(f"--replicas {count}: TensorFlow sees only {len(gpus)} GPUs")
        if not gpus:
            _divide_processor(count)
        kind = "GPU" if gpus else "CPU"
        self.strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(count)])
        self.replicas = count

    def scope(self):
        return self.strategy.scope()

    def batches(self, pair_maker, batch_size, critic_steps, first_step, place="auto"):
        # ``fit`` splits each batch into one part per replica.
        ordered = ReplicaPairMaker(pair_maker, batch_size, critic_steps, self.replicas)
        return training_batches(ordered, batch_size * critic_steps, first_step, place)


class MultiWorker(Distribution):
    """tf.distribute.MultiWorkerMirroredStrategy: one process per machine with all of its GPUs, by ``TF_CONFIG``.

    Keras 3's ``fit`` fails under this strategy (it reduces scalar logs along an axis that they do not have), so
    ``fit`` is a custom loop here. The chief validates and writes; the others get its state when a stage starts and its
    learning rates after every epoch.

    Args:
        replicas: must be None: a worker uses all of its GPUs.

    Raises:
        ValueError: no TF_CONFIG, or one without workers.
    """

    def __init__(self, replicas=None):
        if replicas is not None:
            raise ValueError("--replicas cannot be used with multi_worker: each worker uses all of its GPUs")
        _check_tf_config(os.environ.get("TF_CONFIG"))
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        has_chief = "chief" in resolver.cluster_spec().jobs
        self.is_chief = resolver.task_type == "chief" or (not has_chief and resolver.task_id == 0)
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        self.replicas = self.strategy.num_replicas_in_sync
        self._sum = tf.function(self._sum_over_replicas, reduce_retracing=True, autograph=False)

    def scope(self):
        return self.strategy.scope()

    def batches(self, pair_maker, batch_size, critic_steps, first_step, place="auto"):
        def of_worker(context):
            # Each worker generates only its own samples, a batch for each of its replicas in turn.
            count = self.replicas // context.num_input_pipelines
            first = context.input_pipeline_id * count
            ordered = ReplicaPairMaker(pair_maker, batch_size, critic_steps, self.replicas, first, count)
            return training_batches(ordered, batch_size // self.replicas * critic_steps, first_step * count, place)

        return self.strategy.distribute_datasets_from_function(of_worker)

    def from_chief(self, content):
        size = int(self._chief_integers(np.array([len(content)], np.int32), 1)[0])
        padded = np.frombuffer(content + bytes(-len(content) % 4), np.int32)
        return self._chief_integers(padded, (size + 3) // 4).tobytes()[:size]

    def start(self, trainer):
        metrics = {id(variable) for variable in trainer.metrics_variables}
        members = [variable for variable in trainer.variables if id(variable) not in metrics]
        self._copy_from_chief([*members, *trainer.optimizer.variables])

    def fit(self, trainer, batches, epochs, initial_epoch, steps_per_epoch, callbacks, verbose):
        """A loop on ``strategy.run`` with the callbacks, in the same order as in Keras's ``fit``."""
        callbacks = keras.callbacks.CallbackList(
            callbacks, add_history=True, add_progbar=verbose != 0 and self.is_chief, model=trainer, verbose=verbose,
            epochs=epochs, steps=steps_per_epoch,
        )  # fmt: skip

        def replica_step(batch):
            return tf.stack([tf.cast(value, tf.float32) for value in trainer.train_step(batch).values()])

        @tf.function(reduce_retracing=True, autograph=False)
        def step(batch):
            # One collective operation for all logs.
            return self.strategy.reduce("MEAN", self.strategy.run(replica_step, args=(batch,)), axis=None)

        trainer.stop_training = False
        callbacks.on_train_begin()
        iterator = iter(batches)
        logs = {}
        try:
            for epoch in range(initial_epoch, epochs):
                trainer.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                for number in range(steps_per_epoch):
                    callbacks.on_train_batch_begin(number)
                    logs = dict(zip(trainer.trackers, step(next(iterator)).numpy().tolist(), strict=True))
                    callbacks.on_train_batch_end(number, logs)
                callbacks.on_epoch_end(epoch, logs)
                # Only the chief validates, and may have halved the rates. The others wait for it here.
                self._copy_from_chief([schedule.factor for schedule in trainer.optimizer.schedules.values()])
        except LOST as error:
            raise _lost() from error
        callbacks.on_train_end(logs)

    def _copy_from_chief(self, variables):
        values = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
        content = self.from_chief(b"".join(value.tobytes() for value in values))
        start = 0
        for variable, value in zip(variables, values, strict=True):
            end = start + value.nbytes
            variable.assign(np.frombuffer(content[start:end], value.dtype).reshape(value.shape))
            start = end

    def _chief_integers(self, values, size):
        """int32 (size,): the chief's values."""
        given = np.zeros(size, np.int32)
        if self.is_chief:
            given[:] = values
        try:
            return self._sum(tf.constant(given)).numpy()
        except LOST as error:
            raise _lost() from error

    def _sum_over_replicas(self, values):
        def on_replica():
            # A worker's first replica acts for the worker.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            local = self.replicas // max(1, self._workers)
            return tf.where(tf.equal(replica % local, 0), values, tf.zeros_like(values))

        return self.strategy.reduce("SUM", self.strategy.run(on_replica), axis=None)

    @property
    def _workers(self):
        spec = self.strategy.cluster_resolver.cluster_spec()
        return sum(spec.num_tasks(job) for job in spec.jobs if job in ("chief", "worker"))


def _divide_processor(count):
    processor = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise ValueError(
                f"the CPU cannot be split among {count} replicas: TensorFlow is already initialised"
            ) from None


def _check_tf_config(text):
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        configuration = json.loads(text or "")
        jobs, task = configuration["cluster"], configuration["task"]
        if set(jobs) <= {"chief", "worker"} and int(task["index"]) < len(jobs[task["type"]]):
            return
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"multi_worker reads its machines from the variable TF_CONFIG, such as {example}")


def _lost():
    return WorkerLost(
        "another worker of this run has ended or cannot be reached: restart all workers with the same commands to "
        "resume from the chief's last checkpoint"
    )

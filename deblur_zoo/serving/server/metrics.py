"""Counters and histograms for Prometheus."""

import contextlib
import time

import prometheus_client

from deblur_zoo.serving.server.errors import ServingError

# As TensorFlow Serving's default.
PATH = "/monitoring/prometheus/metrics"
# Seconds: from a tiny network on a graphics processor to a large picture on an old processor.
_LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """What a server counts, in a registry of its own.

    Args:
        known: function of a model's name to whether it is served. Others are counted as "unknown": names that clients
            make up must not fill the memory.
        waiting: function without arguments to the number of requests in the queue.
        held: the same, to the bytes of requests held.
    """

    def __init__(self, known, waiting, held):
        self._known = known
        self._registry = prometheus_client.CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "deblur_zoo_requests",
            "Requests answered, by gRPC's status code",
            ["model", "method", "api", "status"],
            registry=self._registry,
        )
        self._latency = prometheus_client.Histogram(
            "deblur_zoo_request_seconds",
            "Time from a request's arrival to its answer",
            ["model", "method", "api"],
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._rows = prometheus_client.Histogram(
            "deblur_zoo_batch_rows",
            "Pictures in the batches that were run",
            ["signature"],
            buckets=_BATCH_BUCKETS,
            registry=self._registry,
        )
        for name, text, value in (
            ("deblur_zoo_queue_length", "Requests that wait for the network", waiting),
            ("deblur_zoo_held_bytes", "Bytes of the requests that are being read, wait or run", held),
        ):
            prometheus_client.Gauge(name, text, registry=self._registry).set_function(value)

    @contextlib.contextmanager
    def request(self, model, method, api):
        """Count and time the block, which answers a request; a ServingError passes through with its code."""
        model = model if self._known(model) else "unknown"
        started, code = time.perf_counter(), "CANCELLED"
        try:
            yield
            code = "OK"
        except ServingError as error:
            code = error.code
            raise
        except Exception:
            code = "INTERNAL"
            raise
        finally:
            self._requests.labels(model, method, api, code).inc()
            self._latency.labels(model, method, api).observe(time.perf_counter() - started)

    def batch(self, tasks, rows):
        """Count a batch that was run."""
        self._rows.labels(tasks[0].signature.name).observe(rows)

    def page(self):
        """The text that Prometheus reads, as bytes, and its content type."""
        return prometheus_client.generate_latest(self._registry), prometheus_client.CONTENT_TYPE_LATEST

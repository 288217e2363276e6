"""Files that start the public TensorFlow Serving image on exported SavedModels.

    docker compose -f OUT/serving/compose.yaml up --wait

``models.config``, ``batching.config`` and ``monitoring.config`` are protocol buffers in text form; each file
explains its values.
"""

import json
import pathlib
import urllib.parse

from google.protobuf import text_format

from deblur_zoo.exported.saved_model_folder import find_models
from deblur_zoo.files.atomic_file import atomic_path
from deblur_zoo.serving import protocol
from exporters.saved_model import LARGEST_BATCH

# Not older than the TensorFlow that wrote the models (2.21 at most): an older one may lack an operation.
IMAGE = "tensorflow/serving:2.21.0"
GRPC_PORT, REST_PORT = 8500, 8501
# Inside the container.
MODELS = "/models"
SERVING = "serving"
METRICS = "/monitoring/prometheus/metrics"

BATCHING = f"""\
# tensorflow.serving.BatchingParameters. Requests that wait at the same time run together.

# Pictures in a batch; the warm-up records hold a batch of this size. A crop of 128x128 is 192 KiB as floats, so a batch
# takes 3 MiB in and 3 MiB out. A request must not have more pictures than this.
max_batch_size {{ value: {LARGEST_BATCH} }}

# How long a request waits for others, in microseconds. 1 ms is little compared with the network on a CPU.
batch_timeout_micros {{ value: 1000 }}

# Batches that may wait before requests are rejected: clients learn at once that they must slow down, and the queue
# stays below 32 * 3 MiB = 96 MiB for each signature.
max_enqueued_batches {{ value: 32 }}

# num_batch_threads is left out: the default is one for each processor core.
# allowed_batch_sizes is left out: the networks take any size, and rounding up would compute padding.
# pad_variable_length_inputs is left out: padded pictures would come back padded. So concurrent requests to
# serving_default must have the same height and width, such as 128x128 aligned crops; otherwise TensorFlow Serving
# rejects the batch. serving_bytes takes any sizes, but one file that is not an image fails all requests in its
# batch.
"""

MONITORING = f"""\
# tensorflow.serving.MonitoringConfig: counters and latencies for Prometheus, on the REST port.
prometheus_config {{
  enable: true
  # TensorFlow Serving's default, written out for readers.
  path: "{METRICS}"
}}
"""

MODELS_HEADER = f"""\
# tensorflow.serving.ModelServerConfig: every exported SavedModel. base_path is the folder of its versions as the
# container sees it ({MODELS} is the folder above this one). The highest version is served, and a new one replaces it
# when it appears.
"""

COMPOSE = """\
# docker compose -f compose.yaml up --wait
services:
  deblur_zoo:
    # A pinned version, not older than the TensorFlow that wrote the models.
    image: {image}
    restart: unless-stopped
    ports:
      # gRPC and REST, from this machine only: TensorFlow Serving has no authentication.
      - "127.0.0.1:{grpc_port}:{inner_grpc_port}"
      - "127.0.0.1:{rest_port}:{inner_rest_port}"
    volumes:
      # The folder above this file, with all models, read-only.
      - type: bind
        source: ..
        target: {models}
        read_only: true
    command:
      - --model_config_file={models}/{serving}/models.config
      - --enable_batching=true
      - --batching_parameters_file={models}/{serving}/batching.config
      - --monitoring_config_file={models}/{serving}/monitoring.config
    healthcheck:
      # Healthy when a version of every model is available. The image has bash and grep, but no curl.
      test: {test}
      interval: 10s
      timeout: 5s
      retries: 3
      # The server answers only after it has loaded and warmed up every model.
      start_period: 120s
"""

GPU = """\
# docker compose -f compose.yaml -f compose.gpu.yaml up --wait
# What differs on a machine with an NVIDIA GPU and its container toolkit.
services:
  deblur_zoo:
    image: {image}-gpu
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: 1
              capabilities: [gpu]
"""

# compose reads $ itself, so $$ stands for the shell's.
HEALTH_CHECK = (
    "for model in {models}; do "
    "exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1; "
    "printf 'GET /v1/models/%s HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' \"$$model\" >&3; "
    "grep -q '\"AVAILABLE\"' <&3 || exit 1; "
    "done"
)


def write(out, grpc_port=GRPC_PORT, rest_port=REST_PORT):
    """Write ``out/serving/{models,batching,monitoring}.config`` and ``compose.yaml``.

    Each file is written atomically and replaces an older one.

    Args:
        out: folder of exported models, OUT of ``python -m exporters --out OUT``.
        grpc_port, rest_port: ports on this machine's loopback address.

    Returns:
        list of the paths written.

    Raises:
        ValueError: the folder has no SavedModel, or the ports are not two different ones from 1 to 65535.
    """
    for port in (grpc_port, rest_port):
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            raise ValueError(f"a port must be a whole number from 1 to 65535, got {port!r}")
    if grpc_port == rest_port:
        raise ValueError(f"gRPC and REST need different ports; both are {rest_port}")
    models = [folder.name for folder in find_models(out)]
    if not models:
        raise ValueError(f"{out} has no SavedModel (NAME/VERSION/saved_model.pb)")
    folder = pathlib.Path(out, SERVING)
    folder.mkdir(exist_ok=True)
    texts = {
        "models.config": MODELS_HEADER + text_format.MessageToString(_models_config(models)),
        "batching.config": BATCHING,
        "monitoring.config": MONITORING,
        "compose.yaml": _compose(models, grpc_port, rest_port),
        "compose.gpu.yaml": GPU.format(image=IMAGE),
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _models_config(models):
    configs = [{"name": name, "base_path": f"{MODELS}/{name}", "model_platform": "tensorflow"} for name in models]
    return protocol.ModelServerConfig(model_config_list={"config": configs})


def _compose(models, grpc_port, rest_port):
    # Percent-encoded, names are safe in a URL and in a shell.
    names = " ".join(urllib.parse.quote(name, safe="") for name in models)
    command = HEALTH_CHECK.format(models=names, port=REST_PORT)
    return COMPOSE.format(
        image=IMAGE,
        models=MODELS,
        serving=SERVING,
        grpc_port=grpc_port,
        rest_port=rest_port,
        inner_grpc_port=GRPC_PORT,
        inner_rest_port=REST_PORT,
        # JSON is YAML, and quotes what a shell command holds.
        test=json.dumps(["CMD", "bash", "-c", command]),
    )

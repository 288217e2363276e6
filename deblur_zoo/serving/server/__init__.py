"""A server for exported SavedModels that speaks TensorFlow Serving's REST and gRPC: for laptops and tests.

    with embedded.running(Settings(models="exported")) as server:
        print(server.rest, server.grpc)

``settings`` what may be chosen, ``configuration`` which models; ``saved_model`` a version in memory, ``store`` the
versions of all models and how they come and go; ``batching`` requests put together, ``pictures`` what is refused before
it is decoded, ``predictor`` a request from its arrays to its answer; ``json_tensors`` and ``signature_json`` REST's
JSON, ``rest`` and ``grpc_service`` the two ways in; ``metrics``, ``budget``; ``server`` all of it together.
"""

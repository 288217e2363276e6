"""A server for exported SavedModels that speaks TensorFlow Serving's REST and gRPC: for laptops and tests.

    with embedded.running(Settings(models="exported")) as server:
        print(server.rest, server.grpc)

``predictor`` takes a request from its arrays to its answer; ``rest`` and ``grpc_service`` are the two ways in.
"""

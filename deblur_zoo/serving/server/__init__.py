"""A server for exported SavedModels that speaks TensorFlow Serving's REST and gRPC: for laptops and tests.

    with embedded.running(Settings(models="exported")) as server:
        print(server.rest, server.grpc)

``settings`` what may be chosen; ``models`` what is found and loaded, ``saved_model`` one of them; ``pictures`` what is
refused before it is decoded, ``batching`` requests put together, ``predictor`` a request from its arrays to its answer;
``json_tensors`` REST's JSON, ``rest`` and ``grpc_service`` the two ways in; ``server`` all of it together.
"""

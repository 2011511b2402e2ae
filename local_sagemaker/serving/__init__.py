"""Model servers: what answers ``/ping`` and ``/invocations`` behind a local endpoint.

- `process`: starts a server, asks it, stops it
- `server`: HTTP/1.1 on the loopback interface, also for the service's door
- `tensorflow`: the TensorFlow container; `savedmodel` holds the model and reads its JSON
- `script`: the container that runs the user's own ``inference.py``
"""

from local_sagemaker.serving.process import ModelServer, ServerDied

__all__ = ["ModelServer", "ServerDied"]

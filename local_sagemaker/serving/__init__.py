"""Model servers: each a `process` with a `server` that runs one kind of model.

`script` answers by a user's `inference.py`; `tensorflow` answers TensorFlow Serving's REST API for
what `savedmodel` loads. The built-in algorithms bring their own. None knows of the service.
"""

from local_sagemaker.serving.process import ModelServer, ServerDied

__all__ = ["ModelServer", "ServerDied"]

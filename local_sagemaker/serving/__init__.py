"""Model servers: what answers ``/ping`` and ``/invocations`` behind a local endpoint."""

from local_sagemaker.serving.process import ModelServer, ServerDied

__all__ = ["ModelServer", "ServerDied"]

"""Model servers: what answers ``/ping`` and ``/invocations`` behind a local endpoint.

- `process`: starts a server, talks to it, stops it; the only file the control plane needs
- `server`, `loop`, `wire`: HTTP on the loopback interface: threads for all callers, one for quick ones, and
  what both ends of a connection read and write
- `tfs`: the TensorFlow container, AWS' front; behind it TensorFlow Serving's REST interface, the real one
  (`tfs_binary`) or ours (`tfs_model`, `tfs_session`, `tfs_json`, `tfs_values`, `tfs_write`)
- `script`, `usercode`: containers that run the user's ``inference.py``
"""

from local_sagemaker.serving.process import ModelServer, ServerDied

__all__ = ["ModelServer", "ServerDied"]

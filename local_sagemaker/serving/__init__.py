"""Model servers: a `process` and a `server` for a `script` or a `savedmodel` of `tensorflow`."""

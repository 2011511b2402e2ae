"""The SageMaker that runs on this machine: what stands behind the one local address.

A request's way: ``door`` (who may enter) → ``operations`` (which function answers which operation)
or ``runtime`` (which endpoint's model server) → ``jobs`` or ``serving``. ``moto`` and ``s3``
answer S3 and the other services.
"""

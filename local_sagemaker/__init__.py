"""A SageMaker that runs on this machine: ``python -m local_sagemaker`` serves it on 127.0.0.1."""

"""Training and batch transform jobs: folders, environment, processes, logs, S3 in and out."""

"""The SageMaker that runs on this machine: `__main__` starts it behind one local address.

A request's way: `door` (who may enter) → `operations` (which function answers: of `training`,
`tuning`, `models`, `endpoints`, `listing`), or an endpoint's model server → jobs or serving.
`contract` refuses; `account` and `store` keep what there is. `moto` and `s3`, with their
`checksums`, answer the other services.
"""

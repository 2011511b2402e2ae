"""The SageMaker that runs on this machine: what stands behind the one local address.

==============  ===========================================================================
``__main__``    starts it, tells where it listens, ends it when the program it serves ends
``front``       the door: HTTP on 127.0.0.1 only, who may enter, and which way a request goes
``moto``        the way to moto, which answers S3, STS, IAM, Kinesis and CloudWatch Logs
``journal``     S3 on disk: nothing is answered before it is written
``contract``    botocore's model of SageMaker: checks requests, shapes answers
``operations``  which function answers which operation
``listing``     what is the same for every kind of thing: describe, list, delete
``account``     what the operations share: store, clients, folders, running programs
``store``       descriptions of jobs, models, endpoints, and their tags
``training``    operations on training jobs
``job``         one training job from start to end
``container``   the folders, settings and variables a training program finds
``images``      which local program stands in for which image
``programs``    subprocesses that never outlive the service (``local_sagemaker.guard`` watches them)
``streams``     what a program prints, on its way to CloudWatch Logs
``objects``     S3 to folders and back; archives that may not leave their folder
``models``      operations on models, endpoint configurations and tags
``endpoints``   operations on endpoints
``live``        the model server of one endpoint: start, ask, start again, replace
``transform``   batch transform
``tuning``      operations on hyperparameter tuning jobs, and their run
``supported``   what of a request is done here: the rest is refused
``transform_jobs``  operations on transform jobs
==============  ===========================================================================
"""

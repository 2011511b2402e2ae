"""SageMaker without an account: the same calls on this machine, on AWS only where asked for.

    from helpers import cloud

    aws = cloud.connect()

``connect`` starts a SageMaker on this machine, in a process that ends with the kernel, and points
boto3 and the SageMaker SDK at it. Cells use the real SDK and the real boto3, unchanged.

============  ===========================================================================
``connect``   connect this kernel; prints one line saying where
``cleanup``   delete what a block made, also when a cell raises
``leftovers`` what is still there
``estimate``  what a job would cost on AWS
============  ===========================================================================
"""

from helpers.cloud.belongings import cleanup, leftovers
from helpers.cloud.connection import Connection, connect, disconnect
from helpers.cloud.prices import CostEstimate, estimate
from local_sagemaker.errors import CloudError

__all__ = [
    "CloudError",
    "Connection",
    "CostEstimate",
    "cleanup",
    "connect",
    "disconnect",
    "estimate",
    "leftovers",
]

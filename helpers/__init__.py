"""What the chapters share, one room a purpose; nothing here is a framework.

Importing this package is light: no TensorFlow, no MXNet, no pandas. It only
sets, where the reader has not, the environment variables that keep results
the same from run to run and frameworks quiet. They must be set before a
framework loads, which is why they stand here.
"""

import os

__version__ = "0.1.0"

for _name, _value in {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's C++ chatter is not part of a lesson
    "TF_ENABLE_ONEDNN_OPTS": "0",  # oneDNN reorders sums: same seed, other digits
    "OMP_NUM_THREADS": "2",  # bits differ between thread counts, not between runs
    "MXNET_CPU_WORKER_NTHREADS": "2",
    "MXNET_SUBGRAPH_VERBOSE": "0",  # else every bound symbol reports which backend it found
}.items():
    os.environ.setdefault(_name, _value)

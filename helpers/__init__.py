"""Small package that the chapters share: one file or folder per purpose, no framework of its own.

Importing it is light: no TensorFlow, no MXNet, no pandas. It only sets environment variables that
keep results the same from run to run and frameworks quiet, unless the reader has set them. That
happens here because it must happen before a framework loads.
"""

import os

for _name, _value in {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's C++ chatter is not part of a lesson
    "TF_ENABLE_ONEDNN_OPTS": "0",  # oneDNN reorders sums: same seed, other digits
    "OMP_NUM_THREADS": "2",  # bits differ between thread counts, not between runs
    "MXNET_CPU_WORKER_NTHREADS": "2",
    "MXNET_SUBGRAPH_VERBOSE": "0",  # else every bound symbol reports which backend it found
}.items():
    os.environ.setdefault(_name, _value)

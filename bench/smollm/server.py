"""Serves a GGUF model on loopback with the chat protocol of OpenAI until it is stopped: server.py MODEL PORT"""

import os
import sys
import threading

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[2])
params.n_ctx = 4096
params.n_parallel = 1
params.model_alias = "smollm2-135m"
# One thread by default: on a busy machine more of them only wait for each other.
params.cpuparams.n_threads = int(os.environ.get("SMOLLM_THREADS", "1"))
params.cpuparams_batch.n_threads = params.cpuparams.n_threads
# Cool and seeded: a model this small drifts off otherwise, and two runs should agree.
params.sampling.temp = 0.2
params.sampling.penalty_repeat = 1.1
params.sampling.seed = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()

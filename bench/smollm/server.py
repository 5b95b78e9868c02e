"""Serves a GGUF model on loopback with the chat protocol of OpenAI until it is stopped: server.py MODEL PORT"""

import sys
import threading

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostname = "127.0.0.1"
params.port = int(sys.argv[2])
params.n_ctx = 4096
params.n_parallel = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
threading.Event().wait()

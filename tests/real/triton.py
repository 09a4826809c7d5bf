"""Serves two text models on NVIDIA's Triton (the real server, from PyPI's nvidia-pytriton) for `providers.py`.

usage: triton.py HTTP_PORT      with Debian's own python3, whose library the wheel's server loads
`stream` sends a token an answer and any number of them, `whole` one answer with the prompt before its text; both take
the inputs of TensorRT-LLM's ensemble. gRPC is on the port after HTTP's and the metrics on the one after that.
"""

import signal
import sys

import numpy
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

WORDS = ("lamp", "wave", "salt", "rope", "moon", "gull", "tide", "rock")
INPUTS = [
    Tensor(name="text_input", dtype=bytes, shape=(1,)),
    Tensor(name="max_tokens", dtype=numpy.uint32, shape=(1,)),
    Tensor(name="bad_words", dtype=bytes, shape=(1,), optional=True),
    Tensor(name="stop_words", dtype=bytes, shape=(1,), optional=True),
    Tensor(name="temperature", dtype=numpy.float32, shape=(1,), optional=True),
    Tensor(name="stream", dtype=numpy.bool_, shape=(1,), optional=True),
]
OUTPUTS = [Tensor(name="text_output", dtype=bytes, shape=(1,))]


def word(place):
    return f" {WORDS[place % len(WORDS)]}"


def stream(requests):
    """One answer a token."""
    for place in range(int(requests[0]["max_tokens"].ravel()[0])):
        yield [{"text_output": numpy.array([[word(place).encode()]], dtype=object)} for _ in requests]


@batch
def whole(text_input, max_tokens, **_):
    """The prompt and all tokens in one answer."""
    texts = []
    for prompt, count in zip(text_input.ravel(), max_tokens.ravel(), strict=True):
        answer = "".join(word(place) for place in range(int(count)))
        texts.append([prompt + answer.encode()])
    return {"text_output": numpy.array(texts, dtype=object)}


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    port = int(sys.argv[1])
    signal.signal(signal.SIGTERM, interrupted)
    places = {"http_address": "127.0.0.1", "grpc_address": "127.0.0.1", "metrics_address": "127.0.0.1"}
    config = TritonConfig(http_port=port, grpc_port=port + 1, metrics_port=port + 2, log_verbose=0, **places)
    with Triton(config=config) as server:
        decoupled = ModelConfig(max_batch_size=1, decoupled=True)
        server.bind(
            model_name="stream", infer_func=stream, inputs=INPUTS, outputs=OUTPUTS, config=decoupled, strict=False
        )
        single = ModelConfig(max_batch_size=1)
        server.bind(model_name="whole", infer_func=whole, inputs=INPUTS, outputs=OUTPUTS, config=single, strict=False)
        server.serve()


main()

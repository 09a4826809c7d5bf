"""Holds the product against Amazon's own client library and against moto, which imitates Amazon's services.

usage: aws.py LLMLOAD_BINARY        the Python that runs it has boto3 and moto[server] 5.2.5
1. Whole answers of SageMaker and Bedrock from `moto_server`: its SageMaker answers what it was told, its Bedrock `{}`,
   which the product must name as no answer.
2. Streams from a small server here that writes frames. boto3 reads each first and must find all of its text; then the
   product reads the same, and must count the same tokens. The server makes each request's signature again with
   botocore, from what came over the wire, and refuses one that differs.
3. boto3 reads the product's own mock server: what the product's tests rely on is what Amazon's clients read.
"""

import base64
import datetime
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import boto3
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from moto.core.eventstream import EventStreamEncoder

ACCESS, SECRET, SESSION = "AKIDLLMLOADTEST", "wJalr+secret/of/aws", "session//token=="
REGION = "eu-west-1"
REQUESTS = 6
WORDS = ["Grüß", " dich", ",", " Welt", "!"]
CLAUDE = "us.anthropic.claude-3-5-haiku-20241022-v1:0"
ARN = f"arn:aws:bedrock:{REGION}:123456789012:inference-profile/{CLAUDE}"
LIMIT_S = 60

encode = EventStreamEncoder().encode_message


def event(name, payload, media="application/json"):
    if not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    return encode({":event-type": name, ":content-type": media, ":message-type": "event"}, payload)


def converse(_):
    deltas = [event("contentBlockDelta", {"delta": {"text": w}, "contentBlockIndex": 0}) for w in WORDS]
    usage = {"inputTokens": 9, "outputTokens": len(WORDS), "totalTokens": 9 + len(WORDS)}
    return [
        event("messageStart", {"role": "assistant"}),
        *deltas,
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "max_tokens"}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 12}}),
    ]


def invoke(_):
    figures = {"inputTokenCount": 9, "outputTokenCount": len(WORDS), "invocationLatency": 12, "firstByteLatency": 3}
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS]
    documents = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        *deltas,
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": len(WORDS)}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": figures},
    ]
    return [event("chunk", {"bytes": base64.b64encode(json.dumps(d).encode()).decode()}) for d in documents]


def sagemaker(asked):
    """As text-generation-inference: events where the body asks for them, else one document; or OpenAI's chat."""
    if "messages" in asked:
        assert asked["stream"] is True and asked["max_tokens"] == len(WORDS), asked
        deltas = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in WORDS]
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(WORDS)}}
        body = b"".join(b"data: " + json.dumps(it).encode() + b"\n\n" for it in [*deltas, end, usage]) + b"data: [DONE]\n\n"
        return parts(body)
    if asked.get("stream") is not True:
        Handler.whole += 1
        details = {"finish_reason": "length", "generated_tokens": len(WORDS), "input_length": 9}
        return parts(json.dumps([{"generated_text": "".join(WORDS), "details": details}]).encode())
    body = b""
    for number, word in enumerate(WORDS, 1):
        last = number == len(WORDS)
        details = {"finish_reason": "length", "generated_tokens": number, "input_length": 9} if last else None
        token = {"id": number, "text": word, "logprob": -1, "special": False}
        document = {"token": token, "generated_text": "".join(WORDS) if last else None, "details": details}
        body += b"data:" + json.dumps(document).encode() + b"\n\n"
    return parts(body)


def parts(body):
    return [event("PayloadPart", body[at : at + 61], "application/octet-stream") for at in range(0, len(body), 61)]


WAYS = {"converse-stream": converse, "invoke-with-response-stream": invoke, "invocations-response-stream": sagemaker}


def signature_is_right(handler, body):
    """Whether botocore signs what came over the wire with the signature that came along."""
    given = handler.headers["Authorization"]
    scope = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=\w+",
        given,
    )
    _, region, service, names = scope.groups()
    signed = {
        name: handler.headers[name] for name in names.split(";") if name not in ("host", "x-amz-date", "x-amz-security-token")
    }
    request = AWSRequest("POST", f"http://{handler.headers['Host']}{handler.path}", headers=signed, data=body)
    at = datetime.datetime.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    with CLOCK:
        real = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *_, **__: at
        try:
            botocore.auth.SigV4Auth(Credentials(ACCESS, SECRET, SESSION), service, region).add_auth(request)
        finally:
            botocore.auth.get_current_datetime = real
    late = abs((datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - at).total_seconds())
    return late < 60 and handler.headers["X-Amz-Security-Token"] == SESSION and request.headers["Authorization"] == given


CLOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    """Streams words in whichever frames are asked for, cut without regard to frames."""

    protocol_version = "HTTP/1.1"
    signed = 0
    whole = 0
    wrong = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not signature_is_right(self, body):
            Handler.wrong.append(self.path)
            self.send_response(403)
            answer = b'{"message":"the signature is wrong"}'
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        Handler.signed += 1
        asked = json.loads(body)
        stream = b"".join(WAYS[self.path.rsplit("/", 1)[1]](asked))
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.amazon.eventstream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(stream), 97):
            piece = stream[at : at + 97]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


def text_of(service, client, model):
    """The text as boto3 reads it, over its own parser of frames."""
    if service == "sagemaker":
        answer = client.invoke_endpoint_with_response_stream(
            EndpointName=model, Body=b'{"inputs":"Hi","stream":true}', ContentType="application/json"
        )
        body = b"".join(part["PayloadPart"]["Bytes"] for part in answer["Body"])
        lines = [json.loads(line[5:]) for line in body.split(b"\n") if line.startswith(b"data:")]
        return "".join(line["token"]["text"] for line in lines)
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]
    if service == "bedrock":
        answer = client.converse_stream(modelId=model, messages=messages)
        deltas = [part["contentBlockDelta"]["delta"] for part in answer["stream"] if "contentBlockDelta" in part]
        return "".join(delta.get("text", "") for delta in deltas)
    asked = {"messages": messages, "max_tokens": 5, "anthropic_version": "bedrock-2023-05-31"}
    answer = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(asked))
    documents = [json.loads(part["chunk"]["bytes"]) for part in answer["body"]]
    return "".join(d["delta"].get("text", "") for d in documents if d["type"] == "content_block_delta")


def client(service, url):
    name = "sagemaker-runtime" if service == "sagemaker" else "bedrock-runtime"
    keys = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET, "aws_session_token": SESSION}
    config = Config(retries={"max_attempts": 0})
    return boto3.client(name, region_name=REGION, endpoint_url=url, config=config, **keys)


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LLMLOAD_", "LOCUST_"))}
    keys = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SESSION}
    return {**kept, **keys, "AWS_REGION_NAME": REGION, "NO_PROXY": "*"}


def run(binary, url, provider, model, *more):
    """The product's result and the words that it says."""
    with tempfile.TemporaryDirectory() as folder:
        line = [binary, "run", "-H", url, "--provider", *provider.split(), "-m", model, "-u", "2", "-r", "100", "-o", "5", "-p", "20"]
        line += ["--max-requests", str(REQUESTS), "--only-summary", "--start-spread", "0s", "--seed", "7"]
        line += ["--allow-invalid", "--json-file", f"{folder}/result.json", *more]
        done = subprocess.run(line, env=environment(), cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
        path = Path(folder, "result.json")
        assert path.exists(), f"{line}\n{done.stdout}\n{done.stderr}"
        return json.loads(path.read_text()), done.stdout + done.stderr


def check(result, said, output=len(WORDS)):
    totals = result["totals"]
    assert (totals["completed"], totals["failed"]) == (REQUESTS, 0), f"{totals}\n{said}"
    assert result["tokens"]["whole_run_output"] == REQUESTS * output, result["tokens"]
    for secret in (SECRET, SESSION, ACCESS):
        assert secret not in said and secret not in json.dumps(result)


def streams(binary):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    for service, provider, model in [
        ("sagemaker", "sagemaker", "an-endpoint"),
        ("sagemaker", "sagemaker --no-chat", "an-endpoint"),
        ("bedrock", "bedrock", CLAUDE),
        ("bedrock", "bedrock", ARN),
        ("invoke", "bedrock-invoke", CLAUDE),
        ("invoke", "bedrock-invoke", ARN),
    ]:
        for url in (base, f"{base}/below/a%20base"):
            read = text_of(service, client(service, url), model)
            assert read == "".join(WORDS), (service, read)
            before = Handler.signed
            check(*run(binary, url, provider, model))
            assert Handler.signed - before >= REQUESTS and not Handler.wrong, Handler.wrong
            assert not Handler.whole, "asked without `stream`, a container answers as a whole"
            print(f"ok: {provider} {model} at {url}: {Handler.signed - before} signatures are botocore's")
    server.shutdown()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url):
    for _ in range(150):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer")


def whole_answers(binary):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).parent / "moto_server"
    moto = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"{url}/moto-api/data.json")
        details = {"finish_reason": "length", "generated_tokens": 5, "input_length": 9}
        tgi = [{"generated_text": "".join(WORDS), "details": details}]
        answer = {"Body": json.dumps(tgi), "ContentType": "application/json", "InvokedProductionVariant": "v"}
        told = {"region": REGION, "results": [{**answer, "CustomAttributes": "a"}] * 50}
        request = urllib.request.Request(
            f"{url}/moto-api/static/sagemaker/endpoint-results", json.dumps(told).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).read()
        read = client("sagemaker", url).invoke_endpoint(EndpointName="e", Body=b"{}", ContentType="application/json")
        assert json.loads(read["Body"].read()) == tgi
        check(*run(binary, url, "sagemaker", "e", "--no-stream"))
        print("ok: whole answers of SageMaker from moto")
        read = client("bedrock", url).invoke_model(modelId=CLAUDE, body="{}")
        assert json.loads(read["body"].read()) == {}
        result, said = run(binary, url, "bedrock-invoke", CLAUDE, "--no-stream")
        assert result["totals"]["failed"] == REQUESTS, f"{result['totals']}\n{said}"
        words = result["errors"][0]["text"]
        assert "no `content` in `{}`" in words, words
        print(f"ok: Bedrock's empty answers from moto are none: {words}")
    finally:
        moto.terminate()
        moto.wait(10)


def mock(binary):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    served = subprocess.Popen(
        [binary, "mock-server", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"{url}/health")
        for service, model in [("sagemaker", "e"), ("bedrock", CLAUDE), ("invoke", ARN)]:
            read = text_of(service, client(service, url), model)
            assert len(read.split()) >= 1, (service, read)
            print(f"ok: boto3 reads the mock's {service}: {len(read.split())} words")
    finally:
        served.terminate()
        served.wait(10)


def main():
    binary = str(Path(sys.argv[1]).resolve())
    os.environ["NO_PROXY"] = "*"
    streams(binary)
    whole_answers(binary)
    mock(binary)


if __name__ == "__main__":
    main()

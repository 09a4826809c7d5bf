"""Shows that llmload and huggingface_hub share one cache, against a hub on a loopback port.

usage: hub.py LLMLOAD_BINARY        with a Python that has `huggingface_hub`
What llmload downloads huggingface_hub finds without a network, and does not download again with one; and the other way round.
"""

import hashlib
import http.server
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
WORDS = (
    b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,'
    b'"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,'
    b'"model":{"type":"WordLevel","vocab":{"[UNK]":0},"unk_token":"[UNK]"}}'
)
FILES = {
    "tokenizer.json": WORDS,
    "tokenizer_config.json": b"{}",
    "config.json": b'{"max_position_embeddings":4096}',
}
CODE = """
from huggingface_hub import hf_hub_download, scan_cache_dir
for name in {names}:
    print(hf_hub_download("org/name", name, local_files_only={offline}))
found = scan_cache_dir()
assert not found.warnings, found.warnings
[repo] = found.repos
[revision] = repo.revisions
assert (repo.repo_id, revision.commit_hash, set(revision.refs)) == ("org/name", "{commit}", {{"main"}}), repo
"""


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = []

    def do_HEAD(self):
        self.reply(False)

    def do_GET(self):
        self.reply(True)

    def reply(self, with_body):
        # Beside files, huggingface_hub asks after itself.
        if "/resolve/" in self.path:
            self.asked.append((self.command, self.path))
        body = FILES.get(self.path.rpartition("/")[2]) if "/resolve/" in self.path else None
        self.send_response(404 if body is None else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if body is None:
            self.send_header("X-Error-Code", "EntryNotFound")
            body = b""
        else:
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *words):
        pass


def asked_by(command, home, url):
    before = len(Hub.asked)
    environment = {"PATH": os.environ["PATH"], "HF_HOME": home, "HF_ENDPOINT": url}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Hub.asked[before:], ran.stdout


def main(binary):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    ours = [binary, "dataset", "tokenize", "a b c", "--tokenizer", "org/name"]

    def theirs(names, offline):
        code = CODE.format(names=list(names), offline=offline, commit=COMMIT)
        return [sys.executable, "-c", code]

    with tempfile.TemporaryDirectory() as home:
        asked, printed = asked_by(ours, home, url)
        assert len(asked) == 4 and printed == "3 tokens\n", (asked, printed)
        asked, printed = asked_by(theirs(FILES, True), home, url)
        assert asked == [] and len(printed.splitlines()) == 3, (asked, printed)
        assert Path(printed.splitlines()[0]).read_bytes() == WORDS
        asked, _ = asked_by(theirs(FILES, False), home, url)
        assert {method for method, _ in asked} == {"HEAD"}, asked
        print("what llmload downloads huggingface_hub finds, and takes for its own")
    with tempfile.TemporaryDirectory() as home:
        asked_by(theirs(FILES, False), home, url)
        asked, printed = asked_by(ours, home, url)
        assert asked == [] and printed == "3 tokens\n", (asked, printed)
        print("what huggingface_hub downloads llmload finds without asking")


if __name__ == "__main__":
    main(*sys.argv[1:])

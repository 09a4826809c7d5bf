"""Installs the peers in pinned versions, each in a folder of its own, and makes the tokenizer that aiperf loads.

What stands already is used again; nothing is installed outside of the given folder.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS = {"locust": "2.47.0", "aiperf": "0.13.0", "guidellm": "0.8.1", "oha": "1.16.0"}
LIMIT_S = 3600

# The tokenizer's name and revision in its cache.
TOKENIZER = "llmload/peers"
REVISION = "0" * 40


class InstallError(Exception):
    """A tool that cannot be had, and why."""


def run(command, log):
    """Runs a step of an installation; its last words are the reason if it fails."""
    with log.open("a") as out:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallError(f"not installed: {error}") from error
    if done.returncode != 0:
        raise InstallError(f"not installed: {command[0]} ended with {done.returncode}, see {log}")


def from_pypi(name, folder, log):
    run([sys.executable, "-m", "venv", str(folder)], log)
    pip = [str(folder / "bin" / "pip"), "install", "--no-input", "--disable-pip-version-check"]
    run([*pip, f"{name}=={VERSIONS[name]}"], log)


def from_crates_io(name, folder, log):
    run(["cargo", "install", "--locked", "--root", str(folder), f"{name}@{VERSIONS[name]}"], log)


def installed(name, peers):
    """The program of a peer, installed if it is not there yet."""
    folder = peers / f"{name}-{VERSIONS[name]}"
    marker = folder / "installed"
    if not marker.exists():
        print(f"installing {name} {VERSIONS[name]} in {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        (from_crates_io if name == "oha" else from_pypi)(name, folder, peers / f"{name}.log")
        marker.touch()
    return folder / "bin" / name


def built():
    """A release build of this tree."""
    root = Path(__file__).resolve().parents[2]
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", str(root / "Cargo.toml")]
    if subprocess.run(command, timeout=LIMIT_S).returncode != 0:
        raise SystemExit("llmload does not build")
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve() / "release" / "llmload"


def byte_characters():
    """The printable character for each byte, as byte-level tokenizers write them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + place) for place, byte in enumerate(others)}}


def make_tokenizer(folder):
    """Writes a tokenizer that has a token for each byte."""
    end = "<|end|>"
    vocabulary = {character: byte for byte, character in sorted(byte_characters().items())}
    vocabulary[end] = len(vocabulary)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    whole = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": vocabulary[end], "content": end, **special}],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "unk_token": None, "vocab": vocabulary, "merges": []},
    }
    talk = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "model_max_length": 131072}
    settings["chat_template"] = talk
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def tokenizer_cache(peers):
    """A cache laid out as the Hugging Face hub's, with TOKENIZER in it: offline, aiperf loads from there alone."""
    given = os.environ.get("LLMLOAD_PEERS_TOKENIZER")
    cache = peers / "hub"
    shutil.rmtree(cache, ignore_errors=True)
    model = cache / f"models--{TOKENIZER.replace('/', '--')}"
    snapshot = model / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    if given is None:
        make_tokenizer(snapshot)
        return cache
    files = [file for file in Path(given).iterdir() if file.name.startswith(("tokenizer", "special_tokens_map"))]
    if not files:
        raise SystemExit(f"no tokenizer files in `{given}`; hint: LLMLOAD_PEERS_TOKENIZER names a folder")
    for file in files:
        shutil.copy(file, snapshot)
    return cache

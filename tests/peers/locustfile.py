"""Streams chat completions with FastHttpUser, stamps each token, and tells the time to first token as a metric of its own.

The load comes from the environment: PEERS_REQUESTS in all, PEERS_BODY each. Events are read line by line: iter_lines of
FastHttpUser waits for a full kilobyte, which is several events, and would make every first token late.
"""

import json
import os
from time import perf_counter

import gevent
from locust import FastHttpUser, events, task
from locust.stats import CSV_STATS_INTERVAL_SEC

REQUESTS = int(os.environ["PEERS_REQUESTS"])
BODY = os.environ["PEERS_BODY"].encode()
HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream"}
PATH = "/v1/chat/completions"

# The CSV files are written so often, and not once more at the end.
SETTLE_S = 2 * CSV_STATS_INTERVAL_SEC


class Budget:
    """Requests still to be sent, and still to be answered."""

    unsent = REQUESTS
    unanswered = REQUESTS


def report(name, milliseconds, length=0, exception=None):
    events.request.fire(
        request_type="METRIC",
        name=name,
        response_time=milliseconds,
        response_length=length,
        exception=exception,
        context={},
    )


def content_of(line):
    """The text of an event's line, or None where there is none."""
    if not line.startswith(b"data:"):
        return None
    payload = bytes(line[5:]).strip()
    if payload == b"[DONE]":
        return None
    choices = json.loads(payload)["choices"]
    return choices[0]["delta"].get("content") if choices else None


class Streamer(FastHttpUser):
    network_timeout = 600.0
    connection_timeout = 60.0

    @task
    def stream(self):
        if Budget.unsent == 0:
            gevent.sleep(1)
            return
        Budget.unsent -= 1
        try:
            self.answer()
        finally:
            Budget.unanswered -= 1
            if Budget.unanswered == 0:
                # From outside of this greenlet, which quitting would end halfway.
                gevent.spawn_later(SETTLE_S, self.environment.runner.quit)

    def answer(self):
        sent = perf_counter()
        stamps = []
        with self.client.post(PATH, data=BODY, headers=HEADERS, stream=True, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return
            body = response.stream
            while line := body.readline(b"\n"):
                if content_of(line):
                    stamps.append(perf_counter())
        if not stamps:
            report("time_to_first_token", 0, exception=ValueError("no token came"))
            return
        report("time_to_first_token", (stamps[0] - sent) * 1e3)
        report("total_latency", (perf_counter() - sent) * 1e3, len(stamps))
        if len(stamps) > 1:
            report("time_per_output_token", (stamps[-1] - stamps[0]) * 1e3 / (len(stamps) - 1))

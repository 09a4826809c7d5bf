"""Compares what two runs of the same load said, entry by entry: the old benchmark's and ours.

It starts nothing and reads no clock. Every rule here says which difference is allowed and why; all times are
milliseconds, all spans seconds.

- Text entries (provider, model, stream, concurrency...) must be the same.
- Means must be within 1%. Python's own delay is in the old benchmark's: 1 to 6 ms a request, so the load's times
  must be long enough that this is below 1% (800 ms to the first token).
- Percentiles: Locust keeps rounded times (to 10 ms from 100 ms, to 100 ms from 1 s), we keep them as they are. The
  old benchmark's must be what this rounding makes of a value within 1% of ours. The slowest requests, one a user,
  are allowed FIRST_MS more: the first of each user pays for Python's connection and caches.
- Num Requests: the old benchmark counts what ended after its users were started, we what was sent after ours were.
  So ours is compared with the requests added that it says it left out. Several users that end together may each add
  one to the old benchmark's. With a rate and a run time, it kills what is in flight at the end and does not count it.
- Qps: the old benchmark divides by the span from the start of its users to the last answer, with the wait of up to
  1 s that it draws for each user (with a rate: the wait for the first slot). That wait is measured, and its span is
  taken without it. Ours counts each request by the share of its time inside the measured window, which no wait can move;
  of several users, who do not end at once, the old formula is used on our records. With a rate, the spans between the sends are compared: its last answer's time is taken off too.
- METRIC rows of Locust's tables: the means, within 1%. Locust writes its CSV files once a second and so often before
  the last request; its counts are therefore not compared.
- POST and Aggregated rows are not compared: Locust's POST row times the headers alone and its Aggregated row adds
  metrics to requests; ours are of whole requests.
- Without a stream there is no first token: the old benchmark leaves the two means empty, writes 0 for percentiles of
  nothing, and its latency_per_token and latency_per_char are the time from its only read to itself.
- Embeddings: the times, counts and settings alone. What versions of the old benchmark write for tokens that an
  embedding has not, or for a first token that is its whole answer, is not compared.
"""

from dataclasses import dataclass

SHARE = 0.01
FIRST_MS = 50.0

TEXTS = ("Provider", "Model", "Stream", "Temperature", "Logprobs", "Top K", "Concurrency")

# Versions of the old benchmark name the same mean differently; a newer one writes all three.
SAME_COUNT = ("Completion Tokens", "Num Tokens", "Generation Tokens")
SAME_METRIC = ("completion_tokens", "num_tokens", "generation_tokens")

# Of no meaning where nothing is streamed.
STREAM_ENTRIES = ("Time To First Token", "Latency Per Token")
STREAM_METRICS = ("time_to_first_token", "latency_per_token", "latency_per_char")

# What embeddings have, percentiles of these times included.
EMBEDDING_ENTRIES = ("Total Latency", "Latency Per Embedding", "Num Requests", "Qps")
EMBEDDING_METRICS = ("total_latency", "latency_per_embedding")


@dataclass(frozen=True)
class Run:
    """What one tool said of one run."""

    # The row of its summary file, and the means of its METRIC rows by name.
    row: dict
    metrics: dict
    # Requests that it sent and left out of its figures.
    left_out: int = 0
    # From the start of its users until the last of them sent its first request; with a rate, until any did.
    wait_s: float = 0.0
    # Ours, of users: from when the last of them sent its first request to the last answer, by its records.
    span_s: float = 0.0


@dataclass(frozen=True)
class Terms:
    """What of a load decides how its entries are compared."""

    users: int
    stream: bool
    # Requests a second, if these and not the users give the pace.
    rate: float | None = None
    # Whether an answer is text: embeddings have no tokens of their own, and no first one.
    generates: bool = True


@dataclass(frozen=True)
class Line:
    """One entry of both, and whether they agree; `agrees` is None where they are not compared."""

    entry: str
    upstream: str
    ours: str
    difference: str
    agrees: bool | None
    how: str = ""


def relative(upstream, ours):
    """The difference as a share of the old benchmark's."""
    if upstream == ours:
        return 0.0
    return abs(ours - upstream) / abs(upstream) if upstream else float("inf")


def percent(upstream, ours):
    if upstream == ours:
        return "0"
    return f"{(ours - upstream) / upstream * 100:+.2f}%" if upstream else "no share of 0"


def locust_rounded(value):
    """The time under which Locust keeps this one."""
    for limit, digits in ((100, 0), (1000, -1), (10000, -2)):
        if value < limit:
            return round(value, digits)
    return round(value, -3)


def text(entry, upstream, ours):
    return Line(entry, upstream, ours, "", upstream == ours, "the same text")


def mean(entry, upstream, ours):
    told, own = float(upstream), float(ours)
    return Line(entry, f"{told:.4g}", f"{own:.4g}", percent(told, own), relative(told, own) <= SHARE, "1%")


def slowest(entry, requests):
    """Which of the slowest requests is this percentile, as Locust counts: 1 is the slowest."""
    share = float(entry.split(" ")[0].removeprefix("P")) / 100
    return requests - int(requests * share)


def percentile(entry, upstream, ours, requests, users):
    told, own = float(upstream), float(ours)
    least, most = own * (1 - SHARE), own * (1 + SHARE)
    how = "1%, rounded as Locust does"
    if slowest(entry, requests) <= users:
        most += FIRST_MS
        how = f"{how}, a first request {FIRST_MS:.0f} ms more"
    agrees = locust_rounded(least) <= told <= locust_rounded(most)
    return Line(entry, f"{told:g}", f"{own:.1f}", f"{own - told:+.1f} ms", agrees, how)


def requests_line(upstream, ours, terms):
    told, own = int(upstream.row["Num Requests"]), int(ours.row["Num Requests"])
    if terms.rate is None:
        difference, allowed = told - own - ours.left_out, terms.users - 1
        how = f"{ours.left_out} that ours left out added"
        agrees = 0 <= difference <= allowed
    else:
        # What was in flight at its end, and what it waited for at its beginning.
        allowed = terms.rate * (float(upstream.row["Total Latency"]) / 1e3 + upstream.wait_s) + 1
        difference = told - own
        how = f"up to {allowed:.1f} in flight or waited for at the ends"
        agrees = -allowed <= difference <= 1
    return Line("Num Requests", str(told), str(own), f"{own - told:+d}", agrees, how)


def rate_line(upstream, ours, terms):
    told, own = float(upstream.row["Qps"]), float(ours.row["Qps"])
    count, own_count = int(upstream.row["Num Requests"]), int(ours.row["Num Requests"])
    span = count / told - upstream.wait_s
    if terms.rate is None:
        fair = count / span
        own_fair = own if terms.users == 1 else (own_count + ours.left_out) / ours.span_s
    else:
        fair, own_fair = (count - 1) / (span - float(upstream.row["Total Latency"]) / 1e3), own
    how = f"1%, of {fair:.4f} and {own_fair:.4f}: without its wait of {upstream.wait_s:.2f} s"
    how += f", with the {ours.left_out} that ours left out" if ours.left_out and terms.rate is None else ""
    agrees = relative(fair, own_fair) <= SHARE
    return Line("Qps", f"{told:.4f}", f"{own:.4f}", percent(fair, own_fair), agrees, how)


def found(name, table, names):
    """The value under this name, or under another that means the same."""
    if name in table:
        return table[name]
    return next((table[other] for other in names if name in names and other in table), None)


def nothing_streamed(entry, upstream, ours):
    """Neither may tell a time that there is not."""
    agrees = upstream in (None, "", "0") and ours in (None, "")
    return Line(entry, upstream or "", ours or "", "", agrees, "nothing is streamed")


def is_stream_entry(entry):
    return entry in STREAM_ENTRIES or entry.endswith(STREAM_ENTRIES[0])


def of_embeddings(entry):
    # Embeddings are never streamed: ours says so, the old benchmark writes its flag.
    return entry in TEXTS and entry != "Stream" or entry.endswith(EMBEDDING_ENTRIES)


def entry_line(entry, upstream, ours, terms):
    """One column of the summary files."""
    told = found(entry, upstream.row, SAME_COUNT)
    own = ours.row.get(entry)
    if not terms.generates and not of_embeddings(entry):
        return Line(entry, told or "", own or "", "", None, "not of embeddings")
    if not terms.stream and is_stream_entry(entry):
        return nothing_streamed(entry, told, own)
    if own is None:
        return Line(entry, told, "", "", False, "ours has none")
    if told is None:
        return Line(entry, "", own, "", None, "this version of upstream has none")
    if entry in TEXTS:
        return text(entry, told, own)
    if entry == "Num Requests":
        return requests_line(upstream, ours, terms)
    if entry == "Qps":
        return rate_line(upstream, ours, terms)
    if entry.startswith("P") and entry[1].isdigit():
        return percentile(entry, told, own, int(upstream.row["Num Requests"]), terms.users)
    if "" in (told, own):
        return text(entry, told, own)
    return mean(entry, told, own)


def metric_line(name, upstream, ours, terms):
    """One METRIC row of Locust's table."""
    told, own = upstream.metrics[name], found(name, ours.metrics, SAME_METRIC)
    entry = f"METRIC {name}"
    if not terms.stream and name in STREAM_METRICS:
        return Line(entry, f"{told:.4g}", "" if own is None else f"{own:.4g}", "", None, "nothing is streamed")
    if not terms.generates and name not in EMBEDDING_METRICS:
        return Line(entry, f"{told:.4g}", "" if own is None else f"{own:.4g}", "", None, "not of embeddings")
    if own is None:
        return Line(entry, f"{told:.4g}", "", "", False, "ours has none")
    return mean(entry, told, own)


def lines(upstream, ours, terms):
    """Every column of either summary row, in our order, then every METRIC row of the old benchmark.

    Ours is to have all names of the count, whichever of them this version has.
    """
    columns = list(dict.fromkeys([*ours.row, *upstream.row, *SAME_COUNT]))
    entries = [entry_line(name, upstream, ours, terms) for name in columns]
    return entries + [metric_line(name, upstream, ours, terms) for name in sorted(upstream.metrics)]


def markdown(compared):
    """The lines as a table."""
    rows = ["| entry | upstream | ours | difference | agrees | compared |", "|---|--:|--:|--:|---|---|"]
    words = {True: "yes", False: "NO", None: "–"}
    for line in compared:
        rows.append(
            f"| {line.entry} | {line.upstream} | {line.ours} | {line.difference} | {words[line.agrees]} | {line.how} |"
        )
    return "\n".join(rows)

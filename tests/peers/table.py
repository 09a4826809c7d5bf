"""The table: one line for each tool and number of streams, with ratios to llmload and to the truth.

It measures nothing; a figure that is not there is shown as such, with the reason in the last column.
"""

HEADER = (
    "streams",
    "tool",
    "CPU µs/token",
    "× llmload",
    "tokens/s",
    "of possible",
    "TTFT mean: told / true ms",
    "ratio",
    "TTFT p50: told / true ms",
    "ratio",
    "tool busy",
    "server busy, late p99",
    "remark",
)
NUMBERS = (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
NONE = "–"


def number(value, form, unit=""):
    return NONE if value is None else f"{value:{form}}{unit}"


def ratio(above, below, form=".2f"):
    return NONE if above is None or not below else f"{above / below:{form}}"


def pair(told, true, times_tokens):
    """Two times; a tool that does not time tokens tells nothing, which is no failure."""
    return f"{number(told, '.1f') if times_tokens else 'not told'} / {number(true, '.1f')}"


def line(entry, base):
    """One entry's columns; `base` is llmload's CPU time per token at as many streams."""
    figures = entry["figures"]
    if figures is None:
        return (str(entry["streams"]), entry["tool"], *[NONE] * (len(HEADER) - 3), entry["failure"])
    told = entry["times_tokens"]
    server = f"{number(figures['server_load'], '.0%')}, {number(figures['server_lateness_p99_ms'], '.2f')} ms"
    return (
        str(entry["streams"]),
        entry["tool"],
        number(figures["cpu_us_per_token"], ".1f"),
        ratio(figures["cpu_us_per_token"], base, ".1f"),
        number(figures["tokens_per_s"], ".0f"),
        number(figures["share_of_allowed"], ".1%"),
        pair(figures["ttft_mean_told_ms"], figures["ttft_mean_true_ms"], told),
        ratio(figures["ttft_mean_told_ms"], figures["ttft_mean_true_ms"], ".3f"),
        pair(figures["ttft_p50_told_ms"], figures["ttft_p50_true_ms"], told),
        ratio(figures["ttft_p50_told_ms"], figures["ttft_p50_true_ms"], ".3f"),
        number(figures["tool_load"], ".0%"),
        server,
        figures["note"].replace("|", "\\|"),
    )


def base_of(entries, streams):
    for entry in entries:
        if entry["tool"] == "llmload" and entry["streams"] == streams and entry["figures"]:
            return entry["figures"]["cpu_us_per_token"]
    return None


def markdown(entries):
    """The whole table."""
    rows = [HEADER, tuple("--:" if column in NUMBERS else "---" for column in range(len(HEADER)))]
    rows += [line(entry, base_of(entries, entry["streams"])) for entry in entries]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

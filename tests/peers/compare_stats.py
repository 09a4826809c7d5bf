"""Holds the intervals of `llmload compare` against scipy's bootstrap on the same responses.

    python3 compare_stats.py path/to/llmload

Needs numpy and scipy. It makes llmperf's individual files of drawn responses, has them compared, reads the intervals out of the
report, and makes each of them again with scipy.stats.bootstrap (percentile method, the confidence level that stands for the
small-sample correction). Both are random: ends may differ by 4 standard errors of a quantile of 20,000 resamples.
"""

import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

RESAMPLES = 20_000
FIGURES = {"time to first token": "ttft_s", "end-to-end latency": "end_to_end_latency_s", "output tokens": "number_output_tokens"}
STATISTICS = {"mean": np.mean, "median": np.median, "p95": lambda values, axis: np.quantile(values, 0.95, axis=axis)}


def responses(rng, count, factor):
    rows = []
    for _ in range(count):
        first, answer = factor * rng.lognormal(0, 0.5), int(rng.integers(50, 200))
        whole = first + answer * 0.02 * rng.gamma(9, 1 / 9)
        rows.append({
            "error_code": None, "error_msg": "", "inter_token_latency_s": whole / answer, "ttft_s": first,
            "end_to_end_latency_s": whole, "request_output_throughput_token_per_s": answer / whole,
            "number_total_tokens": answer + 10, "number_output_tokens": answer, "number_input_tokens": 10,
        })
    return rows


def level(count):
    """The confidence of a plain percentile interval that is as wide as the corrected one."""
    wider = math.sqrt(count / (count - 1)) * stats.t.ppf(0.975, count - 1)
    return 1 - 2 * stats.norm.cdf(-wider)


def scipys(first, second, statistic, rng):
    def change(one, other, axis):
        return statistic(other, axis=axis) / statistic(one, axis=axis) - 1

    made = stats.bootstrap(
        (first, second), change, n_resamples=RESAMPLES, confidence_level=level(min(len(first), len(second))),
        method="percentile", vectorized=True, rng=rng,
    )
    drawn = np.sort(made.bootstrap_distribution)
    tail = (1 - level(min(len(first), len(second)))) / 2
    spread = 4 * math.sqrt(2 * tail * (1 - tail) / RESAMPLES)
    around = [np.quantile(drawn, [max(0, at - spread), min(1, at + spread)]) for at in (tail, 1 - tail)]
    return made.confidence_interval, around


def reported(text):
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("−", "-") for cell in line.strip("|").split("|")]
        ends = re.fullmatch(r"([+-][\d.]+)% to ([+-][\d.]+)%", cells[4]) if len(cells) == 6 else None
        if ends:
            found[cells[0]] = (float(ends[1]) / 100, float(ends[2]) / 100)
    return found


def main():
    rng = np.random.default_rng(7)
    failed = checked = 0
    for size in ((20, 20), (60, 40), (300, 300)):
        with tempfile.TemporaryDirectory() as folder:
            sides = [responses(rng, size[0], 1.0), responses(rng, size[1], 1.2)]
            files = [Path(folder) / f"{name}_individual_responses.json" for name in ("a", "b")]
            for path, side in zip(files, sides):
                path.write_text(json.dumps(side))
            command = [sys.argv[1], "compare", *map(str, files), "--resamples", str(RESAMPLES)]
            report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        ours = reported(report)
        for name, key in FIGURES.items():
            values = [np.array([row[key] for row in side], dtype=float) for side in sides]
            for word, statistic in STATISTICS.items():
                theirs, around = scipys(*values, statistic, rng)
                mine = ours[f"{word} {name}"]
                # The report has one digit of a percent.
                good = all(low - 6e-4 <= end <= high + 6e-4 for end, (low, high) in zip(mine, around))
                checked += 1
                failed += not good
                print(f"{'ok  ' if good else 'FAIL'} n={size} {word} {name}: {mine[0]:+.3f} {mine[1]:+.3f}"
                      f"  scipy {theirs.low:+.3f} {theirs.high:+.3f}")
    print(f"{checked - failed} of {checked} intervals agree")
    return failed > 0 or checked != 27


if __name__ == "__main__":
    sys.exit(main())

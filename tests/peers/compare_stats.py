"""Holds the intervals of `llmload compare` against scipy's bootstrap on the same responses.

    python3 compare_stats.py path/to/llmload

Needs numpy and scipy. It makes llmperf's files of drawn responses, has them compared, reads the intervals out of the report, and
makes each of them again:

- of one run a side with scipy.stats.bootstrap (percentile method, the confidence level that stands for the small-sample
  correction);
- of several runs a side by drawing runs and responses of each with numpy, short runs and such as are long enough for the laws
  that stand for draws, with the logarithms of the ratios widened by scipy's quantiles;
- of rates of runs with scipy.stats.ttest_ind(equal_var=False) of their logarithms, to the last digit shown.

Resamples are random: ends may differ by 4 standard errors of a quantile of so many resamples.
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
RESAMPLES_OF_RUNS = 4_000
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


def resampled(runs, statistic, rng):
    """The statistic of runs drawn with replacement, and responses of each drawn so too."""
    drawn = np.empty(RESAMPLES_OF_RUNS)
    for at in range(RESAMPLES_OF_RUNS):
        picked = rng.integers(0, len(runs), len(runs))
        values = [runs[run][rng.integers(0, len(runs[run]), len(runs[run]))] for run in picked]
        drawn[at] = statistic(np.concatenate(values), axis=0)
    return drawn


def by_runs(first, second, statistic, rng):
    """The interval of the relative change, and how far each of its ends may be off by chance."""
    logs = np.sort(np.log(resampled(second, statistic, rng) / resampled(first, statistic, rng)))
    middle = math.log(statistic(np.concatenate(second), axis=0) / statistic(np.concatenate(first), axis=0))
    few = min(len(first), len(second))
    wider = math.sqrt(few / (few - 1)) * stats.t.ppf(0.975, len(first) + len(second) - 2) / stats.norm.ppf(0.975)
    spread = 4 * math.sqrt(2 * 0.025 * 0.975 / RESAMPLES_OF_RUNS)
    shares = [(at, max(0, at - spread), min(1, at + spread)) for at in (0.025, 0.975)]
    ends = [np.expm1(middle + wider * (np.quantile(logs, at) - middle)) for at in shares]
    return [end[0] for end in ends], [(end[1], end[2]) for end in ends]


def compared(folder, sides, more):
    """The intervals of two sides of several runs each; a run is its responses and its throughput."""
    words = []
    for name, runs in zip("ab", sides):
        stems = [f"{name}{at}" for at in range(len(runs))]
        for stem, (rows, rate) in zip(stems, runs):
            summary = {"model": "m", "results_mean_output_throughput_token_per_s": rate}
            Path(folder, f"{stem}_summary.json").write_text(json.dumps(summary))
            Path(folder, f"{stem}_individual_responses.json").write_text(json.dumps(rows))
        words.append(f"{name}=" + ",".join(f"{stem}_summary.json" for stem in stems))
    command = [str(Path(sys.argv[1]).resolve()), "compare", *words, *more]
    return reported(subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout)


def tell(name, mine, theirs, around):
    # The report has one digit of a percent.
    good = all(low - 6e-4 <= end <= high + 6e-4 for end, (low, high) in zip(mine, around))
    print(f"{'ok  ' if good else 'FAIL'} {name}: {mine[0]:+.3f} {mine[1]:+.3f}  theirs {theirs[0]:+.3f} {theirs[1]:+.3f}")
    return good


def welch(first, second):
    logs = [np.log(side) for side in (second, first)]
    return np.expm1(stats.ttest_ind(*logs, equal_var=False).confidence_interval())


def of_runs(rng):
    """Short runs are resampled one by one, those of 800 by the laws that stand for draws."""
    verdicts = []
    for counts, size in (((3, 4), 50), ((4, 4), 200), ((3, 3), 800), ((5, 4), 900)):
        levels = [1 + 0.1 * rng.standard_normal(counts[0]), 1.2 + 0.1 * rng.standard_normal(counts[1])]
        sides = [[(responses(rng, size, level), float(100 / level)) for level in side] for side in levels]
        with tempfile.TemporaryDirectory() as folder:
            ours = compared(folder, sides, ["--resamples", str(RESAMPLES_OF_RUNS)])
        for name, key in FIGURES.items():
            values = [[np.array([row[key] for row in rows], dtype=float) for rows, _ in side] for side in sides]
            for word, statistic in STATISTICS.items():
                theirs, around = by_runs(*values, statistic, rng)
                verdicts.append(tell(f"runs {counts} of {size}, {word} {name}", ours[f"{word} {name}"], theirs, around))
        theirs = welch(*([rate for _, rate in side] for side in sides))
        verdicts.append(tell(f"runs {counts}, throughput", ours["overall throughput"], theirs, [(end, end) for end in theirs]))
    return verdicts


def of_rates():
    verdicts = []
    for first, second in (((100, 101), (95, 95.9)), ((10, 10.2, 9.9), (12, 12.1, 12.3)), ((5, 6, 7, 20), (4, 4.1))):
        rng = np.random.default_rng(1)
        sides = [[(responses(rng, 5, 1.0), float(rate)) for rate in side] for side in (first, second)]
        with tempfile.TemporaryDirectory() as folder:
            ours = compared(folder, sides, [])
        theirs = welch(first, second)
        verdicts.append(tell(f"rates {first} {second}", ours["overall throughput"], theirs, [(end, end) for end in theirs]))
    return verdicts


def main():
    rng = np.random.default_rng(7)
    verdicts = []
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
                verdicts.append(tell(f"n={size} {word} {name}", ours[f"{word} {name}"], theirs, around))
    verdicts += of_runs(rng) + of_rates()
    print(f"{sum(verdicts)} of {len(verdicts)} intervals agree")
    return not all(verdicts) or len(verdicts) != 27 + 4 * 10 + 3


if __name__ == "__main__":
    sys.exit(main())

"""What benchmark_llm_serving's own code makes of files: runs with the Python that it is installed for, and prints JSON.

    bench_suite_upstream.py derive FILE           its arithmetic on the stamps of the queries in a raw file
    bench_suite_upstream.py report FOLDER SPEED VALID
                                                  its graphs, data files, thresholds and model card from FOLDER/raw_results

It measures nothing and decides nothing: `bench_suite.py` compares.
"""

import json
import sys
from pathlib import Path

from benchmark_llm_serving import benchmark, make_graphs, make_readmes
from benchmark_llm_serving.io_classes import QueryOutput


def derive(path):
    """The statistics of the queries that a raw file keeps, from nothing but their stamps and prompt lengths."""
    queries = []
    for told in json.loads(Path(path).read_text())["individual_query"]:
        query = QueryOutput(
            starting_timestamp=told["starting_timestamp"],
            ending_timestamp=told["ending_timestamp"],
            timestamp_of_tokens_arrival=told["timestamp_of_tokens_arrival"],
            prompt_length=told["prompt_length"],
            success=told["success"],
            timeout=told["timeout"],
        )
        query.calculate_derived_stats()
        queries.append(query)
    print(json.dumps(benchmark.get_aggregated_metrics(queries)))


def report(folder, speed, valid):
    make_graphs.draw_and_save_graphs(folder, float(speed), "a GPU", int(valid), "happy_vllm")
    make_readmes.make_readme(folder)


if __name__ == "__main__":
    {"derive": derive, "report": report}[sys.argv[1]](*sys.argv[2:])

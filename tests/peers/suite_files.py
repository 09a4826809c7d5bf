"""Which files a bench suite leaves behind, and whether they are there."""

PNG = b"\x89PNG\r\n\x1a\n"
# A picture with axes and nothing in it is larger.
LEAST_BYTES = 3000


def raw_files(repeats, profiles, pairs, levels):
    """The names of the raw results."""
    yield from (f"prompt_ingestion_{at}.json" for at in range(repeats))
    yield from (f"kv_cache_profile_input_{i}_output_{o}.json" for i, o in profiles)
    yield from (f"generation_speed_input_{i}_output_{o}_nb_requests_{n}.json" for i, o in pairs for n in levels)


def report_files(pairs, profiles):
    """What a report has, below the output folder."""
    yield from (f"report/{name}" for name in ("parameters.json", "thresholds.csv", "README.md"))
    yield from ("report/prompt_ingestion_graph.png", "report/data/prompt_ingestion_graph_data.json")
    yield from ("report/total_speed_generation_graph.png", "report/data/total_speed_generation_graph_data.json")
    for i, o in pairs:
        yield f"report/speed_generation/speed_generation_graph_input_{i}_output_{o}.png"
        yield f"report/speed_generation/data/speed_generation_graph_data_input_{i}_output_{o}.json"
    for i, o in profiles:
        yield f"report/kv_cache_profile/graph_kv_cache_profile_input_{i}_output_{o}.png"


def is_whole(file):
    """Whether a file is there and not empty, and a picture is one."""
    if not file.is_file() or file.stat().st_size == 0:
        return False
    return file.suffix != ".png" or (file.read_bytes().startswith(PNG) and file.stat().st_size >= LEAST_BYTES)

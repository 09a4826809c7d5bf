"""The systemd units by systemd itself, the Slurm script with stand-ins for Slurm's programs, the GitHub Action as a runner runs it.

What a stand-in does is in this file; the rest is the real thing.
"""

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import urllib.request

import yaml

from cases import Wrong, equal, holds

CASES = []

# The exposure that `systemd-analyze security` may find, of 10.
EXPOSURE = 2.0


def case(play):
    CASES.append(play)
    return play


class Mock:
    """A mock server on loopback, for as long as a `with` lasts."""

    def __init__(self, bench, *options):
        command = [bench.binary, "mock-server", "--port", "0", *options]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.child.stdout.readline().split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def seen(self):
        with urllib.request.urlopen(f"{self.url}/stats", timeout=20) as answer:
            return json.load(answer)["requests"]["numbered"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@case
def systemd(bench, folder):
    """systemd reads the units without a complaint, and finds little that they leave open."""
    if shutil.which("systemd-analyze") is None:
        return "no systemd-analyze here"
    names = {"llmload-worker.service": "llmload-worker.service", "llmload-master@.service": "llmload-master@nightly.service"}
    for file, name in names.items():
        text = (bench.root / "deploy" / "systemd" / file).read_text()
        (folder / file).write_text(text.replace("/usr/local/bin/llmload", str(bench.binary)))
        if name != file:
            (folder / name).symlink_to(file)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", name], cwd=folder, capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if "llmload" in line]
        holds("\n".join([f"{name}: status {done.returncode}", *said]), done.returncode == 0 and not said)
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", name], cwd=folder, capture_output=True, text=True
        )
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
        holds(f"{name}: {done.stderr}", found is not None)
        holds(f"the exposure of {name} is {found[1]}", float(found[1]) <= EXPOSURE)
    return None


# What stands for Slurm: every node is this machine. `srun` notes its words and starts as many tasks as it is asked for.
SCONTROL = """#!/bin/bash
[ "$1 $2" = "show hostnames" ] && [ "$3" = "n[1-4]" ] || exit 1
printf 'localhost\\n%.0s' 1 2 3 4
"""
SRUN = """#!/bin/bash
echo "$*" >> "$SRUN_NOTES"
while [[ ${1:-} == --* ]]; do
  case $1 in --ntasks=*) tasks=${1#*=} ;; --nodes=*|--ntasks-per-node=*|--nodelist=*|--overlap|--kill-on-bad-exit=*) ;; *) exit 9 ;; esac
  shift
done
pids=()
for ((task = 0; task < tasks; task++)); do "$@" & pids+=($!); done
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM
status=0
for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
exit "$status"
"""


def slurm_job(bench, folder, number, *options, told=None):
    """The script, as Slurm would start it on four nodes. Returns its status, what it said, and its folder."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in {"scontrol": SCONTROL, "srun": SRUN}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "SLURM_JOB_ID": str(number),
        "SLURM_JOB_NODELIST": "n[1-4]",
        "SLURM_SUBMIT_DIR": str(folder),
        "SRUN_NOTES": str(folder / "srun.notes"),
        "LLMLOAD": str(bench.binary),
        "LLMLOAD_PORT": str(free_port()),
        "API_KEY": bench.key,
    }
    # Slurm starts a copy of the script, from somewhere else.
    script = shutil.copy(bench.root / "deploy" / "slurm" / "llmload.sbatch", folder / "slurm_script")
    job = subprocess.Popen(
        ["bash", script, *options], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if told:
        told(job)
    said, _ = job.communicate(timeout=120)
    return job.returncode, said, folder / f"llmload-{number}"


@case
def slurm(bench, folder):
    """The Slurm script on four nodes: three workers, exact counts, no secret left or told; and told to stop before the time is up."""
    with Mock(bench) as mock:
        status, said, work = slurm_job(bench, folder, 41, "-H", mock.url, "-u", "6", "-t", "3s", "--allow-invalid")
        equal(f"the job's status ({said[-3000:]})", status, 0)
        result = json.loads((work / "result.json").read_text())
        equal("requests", result["totals"]["sent"], mock.seen())
        equal("workers that sent", len([each for each in result["workers"] if each["requests"]]), 3)
        equal("the folder's mode", stat.S_IMODE(work.stat().st_mode), 0o700)
        holds("token and keys are left", not (work / "cluster").exists())
        notes = (folder / "srun.notes").read_text()
        holds(f"srun was told {notes}", "--nodes=3 --ntasks=3" in notes and "--nodelist=localhost,localhost,localhost" in notes)
        holds("a key is told", bench.key not in notes + said)
    with Mock(bench) as mock:
        def stop(job):
            while mock.seen() < 20:
                if job.poll() is not None:
                    raise Wrong(f"the job ended with {job.returncode}: {job.stdout.read()[-3000:]}")
            job.terminate()

        status, said, work = slurm_job(bench, folder, 42, "-H", mock.url, "-u", "6", "-t", "10min", "--allow-invalid", told=stop)
        equal(f"the status of a job that is told to stop ({said[-3000:]})", status, 0)
        equal("requests", json.loads((work / "result.json").read_text())["totals"]["sent"], mock.seen())
    status, said, work = slurm_job(bench, folder, 43, "-H", "http://127.0.0.1:1", "--no-such-option")
    equal("the status of a job with an option that nobody knows", status, 2)


class Runner:
    """A runner of composite actions, as far as ours needs one: inputs, outputs, conditions, and steps of bash."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        self.file = bench.root / "deploy" / "github-action" / "action.yml"
        self.action = yaml.safe_load(self.file.read_text())

    def run(self, name, **inputs):
        """Carries the action out. Returns the status of its first failing step, its outputs, and what it said."""
        place = self.folder / name
        place.mkdir()
        given = {key: each.get("default") for key, each in self.action["inputs"].items()}
        given.update({key.replace("_", "-"): value for key, value in inputs.items()})
        values = {f"inputs.{key}": value for key, value in given.items()}
        status, said = 0, ""
        for step in self.action["runs"]["steps"]:
            if status or not self.applies(step.get("if"), values):
                continue
            equal("a step's shell", step["shell"], "bash")
            status, words, outputs = self.step(step, values, place)
            said += words
            values.update({f"steps.{step['id']}.outputs.{key}": value for key, value in outputs.items()})
        outputs = {key: self.filled(each["value"], values) for key, each in self.action["outputs"].items()}
        return status, outputs, said, place

    def applies(self, condition, values):
        if condition is None:
            return True
        found = re.fullmatch(r"(inputs\.[-a-z]+) != ''", condition)
        if not found:
            raise Wrong(f"a condition that is not understood: {condition}")
        return values[found[1]] != ""

    def filled(self, text, values):
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: str(values.get(found[1], "")), text)

    def step(self, step, values, place):
        holds("a step's script has an expression in it", "${{" not in step["run"])
        output, summary = place / "output", place / "summary"
        output.write_text("")
        script = place / f"{step['id']}.sh"
        script.write_text(step["run"])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "RUNNER_TEMP": str(place),
            "GITHUB_ACTION_PATH": str(self.file.parent),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            **{key: self.filled(value, values) for key, value in step.get("env", {}).items()},
        }
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=120)
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done.returncode, done.stdout + done.stderr, outputs


@case
def github_action(bench, folder):
    """The GitHub Action: a run makes a baseline, an equal one passes, a slow server fails with 5, a broken command with 2."""
    runner, binary = Runner(bench, folder), str(bench.binary)
    holds("the source is not where the action builds it", (runner.file.parent / "../../Cargo.toml").resolve().is_file())
    options = "-u 4 -t 3s --seed 1\n-o 10\n"
    limits = "ttft:median>+400%\nlatency:median>+400%\n"
    with Mock(bench) as mock:
        aimed = f"-H {mock.url} {options}"
        status, outputs, said, place = runner.run("first", options=aimed, llmload=binary, allow_invalid="true")
        equal(f"the status of a run ({said[-3000:]})", status, 0)
        equal("its outputs", (outputs["run-status"], outputs["compare-status"]), ("0", ""))
        baseline = str(place / outputs["result"])
        seen = mock.seen()
        equal("requests", json.loads((place / outputs["result"]).read_text())["totals"]["sent"], seen)
        gated = {"llmload": binary, "allow_invalid": "true", "baseline": baseline, "fail_if": limits}
        status, outputs, said, place = runner.run("equal", options=aimed, **gated)
        equal(f"the status of an equal run ({said[-3000:]})", (status, outputs["compare-status"]), (0, "0"))
        holds("the summary has no table", "|" in (place / "summary").read_text())
    with Mock(bench, "--ttft", "400ms") as mock:
        status, outputs, said, _ = runner.run("slow", options=f"-H {mock.url} {options}", **gated)
        equal(f"the status of a slow run ({said[-3000:]})", (status, outputs["compare-status"]), (5, "5"))
    trap = folder / "trap"
    status, outputs, said, _ = runner.run("words", options=f'-H "$(touch {trap})" --no-such-option', llmload=binary)
    equal("the status of a command that is wrong", (status, outputs["run-status"]), (2, "2"))
    holds("words of an input were carried out", not trap.exists())

"""Holds the rows of a run in a real PostgreSQL against the run's own report, while that database is stopped, killed and hung.

usage: data.py LLMLOAD_BINARY [PART...]      absent: all

Where it is: LLMLOAD_POSTGRES=FOLDER of initdb and postgres, else Debian's. All is in a temporary folder, on a loopback port.
"""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PATIENCE_S = 60
PASSWORD = "geheim-wort-17"
OUTCOMES = "ok truncated http_4xx http_429 http_5xx connect dns tls timeout_connect timeout_first_token timeout_idle timeout_total cut in_stream_error parse_error empty cancelled".split()


def programs():
    named = os.environ.get("LLMLOAD_POSTGRES")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not found:
        raise SystemExit("no PostgreSQL: install it, or name its programs' folder in LLMLOAD_POSTGRES")
    return found[0]


def environment():
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG") and "PROXY" not in key.upper()}
    return {**kept, "PGPASSWORD": PASSWORD}


class Postgres:
    """A server of its own, which refuses to run as root."""

    def __init__(self, folder):
        self.folder, self.bin = folder, programs()
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data = folder / "data"
        word = folder / "password"
        word.write_text(PASSWORD)
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
            os.chown(word, self.user.pw_uid, self.user.pw_gid)
        self.run("initdb", "-D", self.data, "-U", "loads", "--auth=scram-sha-256", f"--pwfile={word}", "-N")
        self.secure()
        self.child = None

    def secure(self):
        key, cert = self.data / "server.key", self.data / "server.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE",
             "-keyout", key, "-out", cert],
            check=True, capture_output=True,
        )
        shutil.copy(cert, self.folder / "ca.pem")
        for path in (key, cert):
            path.chmod(0o600)
            if self.user:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}

    def run(self, program, *words):
        subprocess.run([self.bin / program, *words], check=True, capture_output=True, cwd=self.folder, **self.as_user())

    def start(self):
        words = [self.bin / "postgres", "-D", self.data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                 "-c", f"unix_socket_directories={self.folder}", "-c", "ssl=on", "-c", "fsync=off"]
        with (self.folder / "postgres.log").open("a") as log:
            self.child = subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **self.as_user())
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.sql("SELECT 1")
                return
            except subprocess.CalledProcessError:
                assert time.monotonic() < until, (self.folder / "postgres.log").read_text()
                time.sleep(0.1)

    def end(self, wanted=signal.SIGINT):
        """SIGINT: the connected are thrown out; SIGKILL: so is everything."""
        if wanted == signal.SIGKILL:
            self.each(signal.SIGKILL)
        else:
            self.child.send_signal(wanted)
        self.child.wait(PATIENCE_S)

    def each(self, wanted):
        """To the server and its own children alone."""
        listed = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        for pid in [self.child.pid, *map(int, listed)]:
            try:
                os.kill(pid, wanted)
            except ProcessLookupError:
                pass

    def sql(self, text, name="postgres"):
        words = [self.bin / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.port), "-U", "loads", "-d", name, "-c", text]
        told = subprocess.run(words, check=True, capture_output=True, text=True, env=environment())
        return told.stdout.strip()

    def has_rows(self, text):
        """Whether a question is answered with yes; a table that is not there yet has no rows."""
        try:
            return self.sql(text) == "t"
        except subprocess.CalledProcessError:
            return False

    def url(self, more=""):
        return f"postgresql://loads@127.0.0.1:{self.port}/postgres{more}"


def words(binary, postgres, span="8s", *more):
    return [binary, "run", "--mock", "-m", "mock", "--provider", "openai", "-u", "8", "-r", "8", "-t", span, "-o", "8", "--threads", "1",
            "--only-summary", "--allow-invalid", "--json-file", "result.json", "--records", "records.jsonl",
            "--pg-url", postgres.url(), "--pg-requests", *more]


def start(folder, command):
    log = (folder / "run.log").open("w")
    return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment())


def hold(postgres, folder, what):
    """The rows of the one run in `folder` against its files."""
    report = json.loads((folder / "result.json").read_text())
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    run = postgres.sql("SELECT run FROM llmload.runs ORDER BY started_at DESC LIMIT 1")
    of = f"WHERE run = '{run}'"
    totals = report["totals"]
    names = ["scheduled", "sent", "dropped", "late_cancelled", "lost", "good", "failed", "cancelled"]
    wanted = [totals[name] for name in ["scheduled", "sent", "dropped", "late_cancelled", "lost", "completed", "failed", "cancelled"]]
    sums = ", ".join(f"sum({name})" for name in names)
    told = postgres.sql(f"SELECT {sums} FROM llmload.seconds {of}")
    assert told == "|".join(map(str, wanted)), f"{what}: seconds add up to {told}, the report has {wanted}"
    row = postgres.sql(f"SELECT scheduled, sent, dropped, late_cancelled, lost, completed, failed, cancelled FROM llmload.runs {of}")
    assert row == told, f"{what}: the run's row has {row}"
    outcomes = postgres.sql(f"SELECT {', '.join(f'sum({name})' for name in OUTCOMES)} FROM llmload.seconds {of}").split("|")
    counted = {name: sum(line["outcome"] == name for line in lines) for name in OUTCOMES}
    assert dict(zip(OUTCOMES, map(int, outcomes))) == counted, f"{what}: {outcomes} {counted}"
    rows = json.loads(postgres.sql(f"SELECT json_agg(r) FROM (SELECT request, outcome, end_s, output_tokens FROM llmload.requests {of}) r"))
    compact = lambda value: json.dumps(value, separators=(",", ":"))
    key = lambda index, outcome, end: (index, outcome, round(end, 6))
    mine = sorted(key(compact(line["index"]), line["outcome"], line["end_ns"] / 1e9) for line in lines)
    theirs = sorted(key(row["request"], row["outcome"], row["end_s"]) for row in rows)
    assert mine == theirs, f"{what}: {len(theirs)} rows of requests, {len(mine)} records"
    verdict = postgres.sql(f"SELECT verdict, ended_at > started_at, length(plan_sha256) FROM llmload.runs {of}")
    assert verdict == f"{report['verdict']}|t|64", verdict
    seconds = postgres.sql(f"SELECT count(*), count(DISTINCT second), min(second), max(second), max(ceil(greatest(to_s - 0.25, 0))) FROM llmload.seconds {of}").split("|")
    assert seconds == [seconds[0], seconds[0], "1", seconds[0], seconds[0]], (what, seconds, postgres.sql(f"SELECT second, from_s, to_s, sent FROM llmload.seconds {of} ORDER BY at"))
    print(f"   {what}: {seconds[0]} seconds, {len(theirs)} requests as in the report and the records")


def whole(binary, postgres, folder):
    run = start(folder, words(binary, postgres, "5s"))
    assert run.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
    hold(postgres, folder, "undisturbed")
    assert not (folder / "llmload-spool").exists()


def disturbed(away, back):
    def part(binary, postgres, folder):
        run = start(folder, words(binary, postgres, "12s"))
        time.sleep(3)
        away(postgres)
        time.sleep(4)
        back(postgres)
        assert run.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
        said = (folder / "run.log").read_text()
        assert "the database takes no rows" in said and "has all rows again" in said, said
        hold(postgres, folder, "back in time")
        assert not (folder / "llmload-spool").exists()

    return part


def gone(binary, postgres, folder):
    """Away until after the end: the spool has what is missing, and is loaded once however often it is."""
    run = start(folder, words(binary, postgres, "6s"))
    time.sleep(3)
    postgres.end(signal.SIGKILL)
    assert run.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
    said = (folder / "run.log").read_text()
    command = re.search(r"this loads them: llmload (pg-load .*)", said).group(1)
    assert PASSWORD not in said
    postgres.start()
    spools = list((folder / "llmload-spool").glob("*.spool"))
    kept = [(path, path.read_bytes()) for path in spools]
    for path, content in kept:
        if path.exists() and str(path.name) not in command:
            continue
        told = subprocess.run([binary, *command.split()[0:]], cwd=folder, capture_output=True, text=True, env=environment())
        assert told.returncode == 0, told
    for _ in range(2):
        for path, content in kept:
            path.write_bytes(content)
        told = subprocess.run([binary, "pg-load", "llmload-spool", "--pg-url", postgres.url()], cwd=folder, capture_output=True, text=True, env=environment())
        assert told.returncode == 0, told
        assert not list((folder / "llmload-spool").glob("*.spool"))
    print("   " + told.stdout.splitlines()[0])
    hold(postgres, folder, "loaded later, three times")


SLOW = """CREATE FUNCTION llmload.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON llmload.batches FOR EACH ROW EXECUTE FUNCTION llmload.slow()"""


def slow(postgres, binary, folder):
    """Each batch takes three seconds from now on. Returns what ends that."""
    below = folder / "before"
    below.mkdir()
    whole(binary, postgres, below)
    postgres.sql(SLOW)
    return lambda: postgres.sql("DROP FUNCTION llmload.slow CASCADE")


def load_all(binary, postgres, folder):
    told = subprocess.run([binary, "pg-load", "llmload-spool", "--pg-url", postgres.url()], cwd=folder, capture_output=True, text=True, env=environment())
    assert told.returncode == 0, told
    return told.stdout


def lags(binary, postgres, folder):
    """A database that is too slow costs neither the run nor a row."""
    quick = slow(postgres, binary, folder)
    run = start(folder, words(binary, postgres, "8s", "--stop-timeout", "1s"))
    status = run.wait(PATIENCE_S)
    said = (folder / "run.log").read_text()
    assert status == 0 and "did not reach the database" in said, (status, said)
    quick()
    load_all(binary, postgres, folder)
    hold(postgres, folder, "too slow, loaded later")


def sums(postgres, folder, what):
    """The newest run's seconds against its report's totals, each second once."""
    run = postgres.sql("SELECT run FROM llmload.runs ORDER BY started_at DESC LIMIT 1")
    totals = json.loads((folder / "result.json").read_text())["totals"]
    told = postgres.sql(f"SELECT sum(scheduled), sum(sent), sum(good), sum(failed), sum(lost) FROM llmload.seconds WHERE run = '{run}'")
    wanted = "|".join(str(totals[name]) for name in ("scheduled", "sent", "completed", "failed", "lost"))
    seconds = postgres.sql(f"SELECT count(*), count(DISTINCT second), max(second) FROM llmload.seconds WHERE run = '{run}'").split("|")
    assert told == wanted and len(set(seconds)) == 1, (what, told, wanted, seconds)
    row = postgres.sql(f"SELECT scheduled, sent, completed, failed, lost FROM llmload.runs WHERE run = '{run}'")
    assert row == told, (what, row, told)
    print(f"   {what}: {seconds[0]} seconds add up to the report")


def interrupted(binary, postgres, folder):
    """Who does not want to wait for a slow database says so once; what it did not take waits."""
    quick = slow(postgres, binary, folder)
    command = [word for word in words(binary, postgres, "8s") if word != "--pg-requests"]
    run = start(folder, command)
    log = folder / "run.log"
    # Eight seconds, one of ramp, and some of the wait for the database, which lasts fifteen.
    time.sleep(13)
    assert run.poll() is None, log.read_text()
    run.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    status = run.wait(PATIENCE_S)
    took, said = time.monotonic() - begun, log.read_text()
    assert status == 0 and took < 6 and "did not reach the database" in said, (status, took, said)
    quick()
    load_all(binary, postgres, folder)
    sums(postgres, folder, f"interrupted, over in {took:.1f} s, loaded later")


def until(condition, what):
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"never: {what}"
        time.sleep(0.1)


def in_use(binary, postgres, folder):
    """A spool that a run writes to is passed over."""
    run = start(folder, words(binary, postgres, "8s"))
    until(lambda: list((folder / "llmload-spool").glob("*.spool")), "a spool")
    told = subprocess.run([binary, "pg-load", "llmload-spool", "--pg-url", postgres.url()], cwd=folder, capture_output=True, text=True, env=environment())
    assert told.returncode == 1 and "a run still writes to it" in told.stdout, told
    time.sleep(2)
    postgres.end(signal.SIGKILL)
    assert run.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
    postgres.start()
    load_all(binary, postgres, folder)
    hold(postgres, folder, "passed over, loaded later")


def error_of(told):
    return next(line for line in told.stderr.splitlines() if line.startswith("error"))


def tls(binary, postgres, folder):
    """The certificate is checked, name included; a wrong password is refused and not told."""
    ca = postgres.folder / "ca.pem"
    def run(host, mode, word=PASSWORD, pem=ca):
        url = f"postgresql://loads@{host}:{postgres.port}/postgres?sslmode={mode}" + (f"&sslrootcert={pem}" if pem else "")
        command = words(binary, postgres, "2s")
        command[command.index("--pg-url") + 1] = url
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**environment(), "PGPASSWORD": word})
    told = run("localhost", "verify-full")
    assert told.returncode == 0, told
    hold(postgres, folder, "by TLS, verified")
    for wrong in (run("127.0.0.1", "verify-full"), run("localhost", "verify-full", pem=None), run("localhost", "disable", "falsch-9", None)):
        assert wrong.returncode == 2 and "cannot write to the database" in wrong.stderr, wrong
        assert PASSWORD not in wrong.stderr and "falsch-9" not in wrong.stderr
        print("   " + error_of(wrong))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextlib.contextmanager
def served(binary, folder):
    mock = subprocess.Popen([binary, "mock-server", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    try:
        yield re.search(r"http://[\d.:]+", mock.stdout.readline()).group(0)
    finally:
        mock.kill()
        mock.wait()


def directing(binary, postgres, target, port, span, *more):
    return [binary, "master", "-H", target, "-m", "mock", "--provider", "openai", "-u", "8", "-r", "8", "-t", span, "-o", "8",
            "--only-summary", "--allow-invalid", "--json-file", "result.json", "--records", "records.jsonl",
            "--expect-workers", "2", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--pg-url", postgres.url(), *more]


def working(binary, folder, port, *more):
    command = [binary, "worker", "--master-host", "127.0.0.1", "--master-port", port, "--threads", "1", *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())


def continued(binary, postgres, folder):
    """A master is killed, and another goes on: each second has one row, those included that the first had not told of."""
    with served(binary, folder) as target:
        port = free_port()
        command = directing(binary, postgres, target, port, "14s", "--journal", "run.journal")
        first = start(folder, command)
        workers = [working(binary, folder, port) for _ in range(2)]
        until(lambda: postgres.has_rows("SELECT count(*) > 3 FROM llmload.seconds WHERE run = (SELECT run FROM llmload.runs ORDER BY started_at DESC NULLS LAST LIMIT 1) AND at > now() - interval '20 s'"), "some seconds")
        first.kill()
        first.wait()
        time.sleep(1)
        again = start(folder, command)
        assert again.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
        for worker in workers:
            assert worker.wait(PATIENCE_S) == 0
    assert "goes on" in (folder / "run.log").read_text(), (folder / "run.log").read_text()
    sums(postgres, folder, "a master killed, another went on")


def cluster(binary, postgres, folder):
    """Two workers write their own requests; three processes make the tables at once."""
    postgres.sql("DROP SCHEMA IF EXISTS llmload CASCADE")
    with served(binary, folder) as target:
        port = free_port()
        master = start(folder, directing(binary, postgres, target, port, "4s", "--no-journal"))
        workers = [working(binary, folder, port, "--pg-url", postgres.url()) for _ in range(2)]
        assert master.wait(PATIENCE_S) == 0, (folder / "run.log").read_text()
        for worker in workers:
            assert worker.wait(PATIENCE_S) == 0
    lines = "".join(path.read_text() for path in sorted(folder.glob("records.*.jsonl")))
    (folder / "records.jsonl").write_text(lines)
    hold(postgres, folder, "a cluster")
    assert postgres.sql("SELECT count(DISTINCT worker) FROM llmload.requests") == "2"


def timescale(binary, postgres, folder):
    """Debian has no TimescaleDB: in its place stand an entry among the extensions and a function of its signature, which notes its calls."""
    postgres.sql("CREATE DATABASE scaled")
    postgres.sql(
        "SET allow_system_table_mods = on;"
        "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion) VALUES (99999, 'timescaledb', 10, 2200, false, '0');"
        "CREATE TABLE public.calls (number serial, named text, by_column name, indexes boolean);"
        "CREATE FUNCTION public.create_hypertable(relation regclass, time_column_name name, partitioning_column name DEFAULT NULL,"
        " number_partitions integer DEFAULT NULL, associated_schema_name name DEFAULT NULL, associated_table_prefix name DEFAULT NULL,"
        " chunk_time_interval anyelement DEFAULT NULL::bigint, create_default_indexes boolean DEFAULT true,"
        " if_not_exists boolean DEFAULT false, OUT hypertable_id integer) LANGUAGE sql AS"
        " $$ INSERT INTO public.calls (named, by_column, indexes) VALUES (relation::text, time_column_name, create_default_indexes) RETURNING number $$",
        "scaled")
    url = postgres.url().replace("/postgres", "/scaled")
    for _ in range(2):
        told = subprocess.run([binary, "pg-load", str(folder), "--pg-url", url], cwd=folder, capture_output=True, text=True, env=environment())
        assert told.returncode == 0, told
    calls = postgres.sql("SELECT named, by_column, indexes FROM public.calls ORDER BY number", "scaled")
    assert re.sub("llmload[.]", "", calls) == "seconds|at|f\nrequests|at|f", calls
    # A hypertable bears no unique index without its time.
    unique = "SELECT count(*) FROM pg_index WHERE indisunique AND indrelid IN ('llmload.seconds'::regclass, 'llmload.requests'::regclass)"
    assert postgres.sql(unique, "scaled") == "0"
    assert postgres.sql("SELECT to_regproc('create_hypertable') IS NULL") == "t", "the others have none"
    print("   hypertables are asked for once, where their extension is")


def refused(binary, postgres, folder):
    """What cannot work is found before the run, with what to do."""
    def told(url, *more):
        command = words(binary, postgres, "1s", *more)
        command[command.index("--pg-url") + 1] = url
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())
    postgres.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    postgres.sql("CREATE DATABASE newer")
    newer = postgres.url().replace("/postgres", "/newer")
    assert told(newer).returncode == 0
    postgres.sql("INSERT INTO llmload.migrations (version) VALUES (99)", "newer")
    postgres.sql(f"CREATE ROLE other LOGIN PASSWORD '{PASSWORD}'")
    whole(binary, postgres, folder)
    # One who may write all rows but the ledger's, and a database without temporary tables.
    postgres.sql(f"CREATE ROLE half LOGIN PASSWORD '{PASSWORD}'; GRANT USAGE ON SCHEMA llmload TO half;"
                 "GRANT INSERT, SELECT, UPDATE ON ALL TABLES IN SCHEMA llmload TO half; REVOKE INSERT ON llmload.batches FROM half")
    postgres.sql(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    postgres.sql("CREATE DATABASE bare OWNER plain")
    postgres.sql("REVOKE TEMPORARY ON DATABASE bare FROM PUBLIC; REVOKE TEMPORARY ON DATABASE bare FROM plain")
    postgres.sql("GRANT USAGE ON SCHEMA llmload TO other; GRANT SELECT ON ALL TABLES IN SCHEMA llmload TO other")
    for url, what, hint in (
        (newer, "is version 99, and this program knows 1", "use a newer llmload"),
        (postgres.url().replace("/postgres", "/latin"), "its encoding is LATIN1", "ENCODING 'UTF8'"),
        (postgres.url().replace("loads@", "other@"), "may not write to the tables", "GRANT INSERT"),
        (postgres.url().replace("/postgres", "/bare").replace("loads@", "plain@"), "may not make temporary tables", "GRANT TEMPORARY"),
        (postgres.url().replace("loads@", "half@"), "may not write to the tables", "GRANT INSERT"),
        (postgres.url().replace("/postgres", "/nowhere"), 'database "nowhere" does not exist', "look at --pg-url"),
    ):
        answer = told(url)
        assert answer.returncode == 2 and what in answer.stderr and hint in answer.stderr, answer
        assert PASSWORD not in answer.stderr
        print("   " + error_of(answer))
        looked = doctor(binary, postgres, folder, url)
        assert looked.returncode == 1 and what in looked.stdout and hint in looked.stdout, looked
        assert PASSWORD not in looked.stdout + looked.stderr


def doctor(binary, postgres, folder, url):
    command = words(binary, postgres, "1s")
    command[1], command[command.index("--pg-url") + 1] = "doctor", url
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment())


def looked_at(binary, postgres, folder):
    """A database is looked at before a run without anything being left there."""
    postgres.sql("CREATE DATABASE fresh")
    url = postgres.url().replace("/postgres", "/fresh")
    for schema in ("can be made", "can be made"):
        looked = doctor(binary, postgres, folder, url)
        assert looked.returncode == 0 and f"the schema `llmload` {schema}" in looked.stdout, looked
    assert postgres.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'llmload'", "fresh") == "0"
    whole(binary, postgres, folder)
    looked = doctor(binary, postgres, folder, postgres.url())
    assert looked.returncode == 0 and "the schema `llmload` is there" in looked.stdout, looked
    runs = postgres.sql("SELECT count(*) FROM llmload.runs")
    assert doctor(binary, postgres, folder, postgres.url()).returncode == 0
    assert postgres.sql("SELECT count(*) FROM llmload.runs") == runs


PARTS = {
    "whole": whole,
    "stopped": disturbed(lambda pg: pg.end(), lambda pg: pg.start()),
    "killed": disturbed(lambda pg: pg.end(signal.SIGKILL), lambda pg: pg.start()),
    "hung": disturbed(lambda pg: (pg.each(signal.SIGSTOP), time.sleep(4)), lambda pg: pg.each(signal.SIGCONT)),
    "gone": gone,
    "lags": lags,
    "interrupted": interrupted,
    "in use": in_use,
    "continued": continued,
    "tls": tls,
    "cluster": cluster,
    "timescale": timescale,
    "refused": refused,
    "looked at": looked_at,
}


def main():
    binary, wanted = str(Path(sys.argv[1]).resolve()), sys.argv[2:] or list(PARTS)
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        below = Path(top) / "postgres"
        below.mkdir()
        postgres = Postgres(below)
        postgres.start()
        try:
            for name in wanted:
                started = time.monotonic()
                folder = Path(top) / name
                folder.mkdir()
                PARTS[name](binary, postgres, folder)
                print(f"ok {name}, {time.monotonic() - started:.0f} s", flush=True)
        finally:
            if postgres.child.poll() is None:
                postgres.each(signal.SIGCONT)
                postgres.end()


if __name__ == "__main__":
    main()

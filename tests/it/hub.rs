//! Tokenizers that are on no machine yet: from a server that speaks as the hub does, into the hub's own cache. And the one that
//! is always there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use llmload::mock::MockHandle;
use sha2::{Digest, Sha256};

use crate::command::{Place, Ran, at_once, serve, url, words};
use crate::process::{Ended, Program, shared, towards};
use crate::warnings::WORDS;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_this_is_nobody_elses";

/// What a path is answered with.
#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// Said to be longer than it is.
    is_cut: bool,
}

impl Reply {
    fn new(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            status,
            headers: headers.iter().map(owned).collect(),
            body: body.to_owned(),
            is_cut: false,
        }
    }

    /// A file of a repository.
    fn file(body: &str, etag: &str) -> Self {
        let quoted = format!("\"{etag}\"");
        Self::new(200, &[("X-Repo-Commit", COMMIT), ("ETag", &quoted)], body)
    }

    fn error(status: u16, code: &str) -> Self {
        Self::new(status, &[("X-Error-Code", code)], "")
    }
}

/// A server of fixed replies, with the heads of what it was asked.
struct Host {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Host {
    fn start(replies: &[(&str, Reply)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let replies = replies.iter().cloned();
        let replies: BTreeMap<String, Reply> = replies
            .map(|(path, reply)| (path.to_owned(), reply))
            .collect();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        // It serves to the end of the process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Who hangs up early is the one under test.
                let _ = answer(stream, &replies, &kept);
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    replies: &BTreeMap<String, Reply>,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_head = head.starts_with("HEAD");
    heads.lock().unwrap().push(head);
    let none = Reply::error(404, "EntryNotFound");
    let reply = replies.get(&path).unwrap_or(&none);
    if reply.status == 0 {
        // Says nothing for longer than anybody waits here.
        std::thread::sleep(std::time::Duration::from_secs(5));
    }
    let length = reply.body.len() + usize::from(reply.is_cut);
    write!(stream, "HTTP/1.1 {} Word\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    let body = if is_head { "" } else { &reply.body };
    write!(
        stream,
        "Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

const FILE: &str = "/org/tiny/resolve/main/tokenizer.json";

fn of_commit(name: &str) -> String {
    format!("/org/tiny/resolve/{COMMIT}/{name}")
}

fn tokenize(place: &Place, name: &str, env: &[(&str, &str)]) -> Ran {
    let args = ["dataset", "tokenize", "one two three", "--tokenizer", name];
    place.run_with(&args, env)
}

/// The environment of somebody with a token, whose hub is `hub`.
fn asking(hub: &str) -> [(&'static str, &str); 4] {
    [
        ("HF_HUB_OFFLINE", "0"),
        ("HF_ENDPOINT", hub),
        ("HF_TOKEN", TOKEN),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "1"),
    ]
}

fn cache(place: &Place) -> PathBuf {
    place.file("home/.cache/huggingface/hub/models--org--tiny")
}

#[test]
#[expect(clippy::too_many_lines, reason = "the texts are long, not the test")]
fn a_missing_tokenizer_is_fetched_once_into_the_hubs_own_cache_and_the_token_stays_at_the_hub() {
    let sha256 = format!("{:x}", Sha256::digest(WORDS));
    let length = WORDS.len().to_string();
    let elsewhere = Host::start(&[(
        "/signed?key=1",
        Reply::new(200, &[("ETag", "\"other\"")], WORDS),
    )]);
    let linked = format!("\"{sha256}\"");
    let to = format!("{}/signed?key=1", elsewhere.url);
    let redirect = Reply::new(
        302,
        &[
            ("X-Repo-Commit", COMMIT),
            ("X-Linked-Etag", &linked),
            ("X-Linked-Size", &length),
            ("Location", &to),
        ],
        "",
    );
    let template = "<s> {{ messages[0].content }} </s>";
    // An old name leads to the new one, at the same hub.
    let moved = Reply::new(
        307,
        &[("Location", "/new/tiny/resolve/main/tokenizer.json")],
        "",
    );
    let hub = Host::start(&[
        (FILE, moved),
        ("/new/tiny/resolve/main/tokenizer.json", redirect),
        (
            &of_commit("chat_template.jinja"),
            Reply::file(template, "abc"),
        ),
    ]);
    let place = Place::new();
    let ran = tokenize(&place, "org/tiny", &asking(&hub.url));
    ran.expect(0);
    assert_eq!(ran.stdout.trim(), "3 tokens", "{ran:?}");
    assert!(
        ran.stderr
            .contains(&format!("downloading it from {}", hub.url)),
        "{ran:?}"
    );

    let heads = hub.heads();
    assert_eq!(heads.len(), 5, "{heads:?}");
    let secret = format!("authorization: Bearer {TOKEN}");
    assert!(heads.iter().all(|head| head.contains(&secret)), "{heads:?}");
    let there = elsewhere.heads();
    assert!(
        there.len() == 1 && !there[0].to_lowercase().contains("authorization"),
        "{there:?}"
    );

    let folder = cache(&place);
    assert_eq!(
        fs::read_to_string(folder.join("refs/main")).unwrap(),
        COMMIT
    );
    let snapshot = folder.join("snapshots").join(COMMIT);
    let link = fs::read_link(snapshot.join("tokenizer.json")).unwrap();
    assert_eq!(link, PathBuf::from(format!("../../blobs/{sha256}")));
    assert_eq!(
        fs::read_to_string(snapshot.join("tokenizer.json")).unwrap(),
        WORDS
    );
    assert_eq!(
        fs::read_to_string(folder.join("blobs/abc")).unwrap(),
        template
    );
    assert_eq!(fs::read_dir(folder.join("blobs")).unwrap().count(), 2);

    // From here on it is on this machine: nobody is asked.
    let offline = [("HF_HUB_OFFLINE", "1")];
    for env in [&asking(&hub.url)[..], &offline] {
        assert_eq!(
            tokenize(&place, "org/tiny", env).expect(0).stdout.trim(),
            "3 tokens"
        );
    }
    assert_eq!(hub.heads().len(), 5);
    assert!(!format!("{ran:?}").contains(TOKEN));
    assert!(
        place
            .files()
            .iter()
            .all(|(_, content)| !content.contains(TOKEN))
    );
}

#[test]
fn a_branch_and_a_commit_are_asked_for_by_name() {
    let (branch, file) = (
        "/org/tiny/resolve/refs%2Fpr%2F1/tokenizer.json",
        of_commit("tokenizer.json"),
    );
    let hub = Host::start(&[
        (branch, Reply::file(WORDS, "w")),
        (&file, Reply::file(WORDS, "w")),
    ]);
    let place = Place::new();
    tokenize(&place, "org/tiny@refs/pr/1", &asking(&hub.url)).expect(0);
    assert_eq!(
        fs::read_to_string(cache(&place).join("refs/refs/pr/1")).unwrap(),
        COMMIT
    );
    // The snapshot is there now, by its commit's name too.
    let asked = hub.heads().len();
    tokenize(&place, &format!("org/tiny@{COMMIT}"), &asking(&hub.url)).expect(0);
    assert_eq!(hub.heads().len(), asked);
    let other = Place::new();
    tokenize(&other, &format!("org/tiny@{COMMIT}"), &asking(&hub.url)).expect(0);
    assert!(!cache(&other).join("refs").exists());
}

/// What is said when the hub replies so to the question for the tokenizer.
fn refused(reply: Reply, more: &[(&str, Reply)]) -> String {
    let replies: Vec<_> = [(FILE, reply)]
        .into_iter()
        .chain(more.iter().cloned())
        .collect();
    let hub = Host::start(&replies);
    let place = Place::new();
    let ran = tokenize(&place, "org/tiny", &asking(&hub.url));
    ran.expect(2);
    let all = format!("{ran:?}");
    assert!(!all.contains(TOKEN), "{all}");
    let left = place.files();
    assert!(left.is_empty(), "{left:?}");
    let words = ran.complaint().replace(&hub.url, "HUB");
    let (_, words) = words.split_once("; ").expect("where it was looked for");
    words.to_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "the texts are long, not the test")]
fn what_the_hub_refuses_is_said_with_what_to_do() {
    let mut cut = Reply::file(WORDS, "w");
    cut.is_cut = true;
    let wrong = format!("\"{}\"", "0".repeat(64));
    let linked = |name, value| {
        Reply::new(
            200,
            &[
                ("X-Repo-Commit", COMMIT),
                ("X-Linked-Etag", &wrong),
                (name, value),
            ],
            WORDS,
        )
    };
    let long = (300_u64 << 20).to_string();
    let quoting = format!("no such user: {TOKEN}");
    let faults = [
        refused(Reply::error(403, "GatedRepo"), &[]),
        refused(Reply::error(404, "RepoNotFound"), &[]),
        refused(Reply::error(404, "RevisionNotFound"), &[]),
        refused(Reply::error(404, "EntryNotFound"), &[]),
        refused(
            Reply::error(404, "EntryNotFound"),
            &[(
                "/org/tiny/resolve/main/tokenizer.model",
                Reply::file("", "m"),
            )],
        ),
        refused(
            Reply::new(
                401,
                &[(
                    "X-Error-Message",
                    "Invalid credentials in Authorization header",
                )],
                "",
            ),
            &[],
        ),
        refused(Reply::new(503, &[("X-Error-Message", &quoting)], ""), &[]),
        refused(Reply::new(200, &[], "<html>"), &[]),
        refused(Reply::new(302, &[("Location", FILE)], ""), &[]),
        refused(cut, &[]),
        refused(linked("X-Other", "1"), &[]),
        refused(linked("X-Linked-Size", &long), &[]),
        refused(Reply::new(0, &[], ""), &[]),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r#"
    `org/tiny` is gated at the hub
    hint: accept its terms on its page at the hub (org/tiny) with the token's user; or give the path of a tokenizer.json, or take --tokenizer built-in
    the hub has no `org/tiny` to show (status 404 Not Found)
    hint: is `org/tiny` spelt right, and may the token see it? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    `org/tiny` has no revision `main` at the hub
    hint: name a branch, a tag or a commit behind the @; or give the path of a tokenizer.json, or take --tokenizer built-in
    `org/tiny` has no tokenizer.json at the hub, nor any other tokenizer
    hint: is it the right repository? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    `org/tiny` has no tokenizer.json at the hub, only tokenizer.model
    hint: `AutoTokenizer.from_pretrained("org/tiny").save_pretrained("folder")` of transformers makes one: --tokenizer folder; or give the path of a tokenizer.json, or take --tokenizer built-in
    the hub does not know the token
    hint: is HF_TOKEN (or what `hf auth login` has left) a token of yours? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    the hub answers with status 503 Service Unavailable: no such user: ***
    hint: try again, run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    what answered is no hub: its answer has no usable X-Repo-Commit
    hint: is HF_ENDPOINT the address of a hub (https://huggingface.co)? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    the hub sends elsewhere: more often than anybody follows
    hint: try again, run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    the hub at 127.0.0.1 cannot be reached: error decoding response body: request or response body error: error reading a body from connection: end of file before message length reached
    hint: see to the network, name a proxy (HTTPS_PROXY), or run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    `tokenizer.json` arrived broken: its SHA-256 is not the hub's
    hint: try again, run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    `tokenizer.json` has more than 268435456 bytes
    hint: is it the right repository? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    the hub at HUB cannot be reached: error sending request: operation timed out
    hint: see to the network, name a proxy (HTTPS_PROXY), or run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    "#);
}

#[test]
fn who_cannot_or_must_not_ask_is_told_so() {
    let place = Place::new();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut lines = Vec::new();
    for env in [
        &[("HF_HUB_OFFLINE", "1")][..],
        &[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "yes")],
        &[("HF_HUB_OFFLINE", ""), ("HF_ENDPOINT", "ftp://hub")],
        &asking(&nobody),
    ] {
        let ran = tokenize(&place, "org/tiny", env);
        ran.expect(2);
        assert!(!format!("{ran:?}").contains(TOKEN));
        let words = ran.complaint().replace(&nobody, "NOBODY");
        lines.push(words.replace(place.path().to_str().unwrap(), "PLACE"));
    }
    // A folder of that name is no id, and neither is a path.
    fs::create_dir_all(place.file("org/tiny")).unwrap();
    for name in ["org/tiny", "./org/none"] {
        let ran = tokenize(&place, name, &asking(&nobody));
        lines.push(ran.expect(2).complaint());
    }
    let text = lines
        .join("\n")
        .replace(place.path().to_str().unwrap(), "PLACE");
    insta::assert_snapshot!(text, @r#"
    error: no tokenizer `org/tiny`: looked for `org/tiny/tokenizer.json`, `PLACE/home/.cache/huggingface/hub/models--org--tiny/refs/main`; the hub was not asked: HF_HUB_OFFLINE is set
    hint: unset HF_HUB_OFFLINE, run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    error: no tokenizer `org/tiny`: looked for `org/tiny/tokenizer.json`, `PLACE/home/.cache/huggingface/hub/models--org--tiny/refs/main`; the hub was not asked: TRANSFORMERS_OFFLINE is set
    hint: unset TRANSFORMERS_OFFLINE, run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    error: no tokenizer `org/tiny`: looked for `org/tiny/tokenizer.json`, `PLACE/home/.cache/huggingface/hub/models--org--tiny/refs/main`; `ftp://hub` is not the address of a hub
    hint: is HF_ENDPOINT the address of a hub (https://huggingface.co)? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    error: no tokenizer `org/tiny`: looked for `org/tiny/tokenizer.json`, `PLACE/home/.cache/huggingface/hub/models--org--tiny/refs/main`; the hub at NOBODY cannot be reached: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: see to the network, name a proxy (HTTPS_PROXY), or run `hf download org/tiny tokenizer.json tokenizer_config.json` where the network is; or give the path of a tokenizer.json, or take --tokenizer built-in
    error: no tokenizer `org/tiny`: looked for `org/tiny/tokenizer.json`, `PLACE/home/.cache/huggingface/hub/models--org--tiny/refs/main`
    hint: run `hf download org/tiny tokenizer.json tokenizer_config.json`, or give the path of a tokenizer.json; built-in is always there
    error: no tokenizer `./org/none`: looked for `./org/none/tokenizer.json`
    hint: --tokenizer takes a tokenizer.json, a folder that holds one, or a hub id like org/name
    "#);
}

#[test]
fn a_password_in_the_hubs_address_is_refused_and_shown_nowhere() {
    const PASSWORD: &str = "hush-of-the-mirror";
    let hub = Host::start(&[(FILE, Reply::file(WORDS, "w"))]);
    let host = hub.url.strip_prefix("http://").unwrap();
    let place = Place::new();
    let mut lines = Vec::new();
    for endpoint in [
        format!("http://somebody:{PASSWORD}@{host}"),
        format!("http://{PASSWORD}@{host}/hub"),
        format!("ftp://somebody:{PASSWORD}@{host}"),
        format!("somebody:{PASSWORD}@{host}"),
        format!("http://somebody:{PASSWORD}/@{host}"),
    ] {
        let ran = tokenize(&place, "org/tiny", &asking(&endpoint));
        ran.expect(2);
        assert!(!format!("{ran:?}").contains(PASSWORD), "{ran:?}");
        let words = ran.complaint().replace(host, "HOST");
        let (_, words) = words.split_once("; ").expect("where it was looked for");
        lines.push(words.to_owned());
    }
    assert_eq!(hub.heads().len(), 0, "nobody was asked");
    insta::assert_snapshot!(lines.join("\n"), @r#"
    a user name or password in the address of the hub at http://HOST
    hint: take it out of HF_ENDPOINT: HF_TOKEN says who asks; or give the path of a tokenizer.json, or take --tokenizer built-in
    a user name or password in the address of the hub at http://HOST
    hint: take it out of HF_ENDPOINT: HF_TOKEN says who asks; or give the path of a tokenizer.json, or take --tokenizer built-in
    `ftp://HOST` is not the address of a hub
    hint: is HF_ENDPOINT the address of a hub (https://huggingface.co)? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    `HOST` is not the address of a hub
    hint: is HF_ENDPOINT the address of a hub (https://huggingface.co)? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    `HOST` is not the address of a hub
    hint: is HF_ENDPOINT the address of a hub (https://huggingface.co)? Otherwise give the path of a tokenizer.json, or take --tokenizer built-in
    "#);
}

/// A master whose folder has the tokenizer, and a worker that has none of its own but this hub.
fn with_a_worker(mock: &MockHandle, replies: &[(&str, Reply)]) -> (Host, Ended, Ended) {
    let hub = Host::start(replies);
    let [at_master, at_worker] = [(); 2].map(|()| Arc::new(tempfile::TempDir::new().unwrap()));
    let kept = at_master.path().join("org/tiny");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("tokenizer.json"), WORDS).unwrap();
    let line = towards(mock, "-u 2 --max-requests 4 --tokenizer org/tiny");
    let line = format!("master --master-bind-port 0 --expect-workers 1 {line}");
    let master = Program::start_in(at_master, &line);
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap();
    let line = format!("worker --master {address} --threads 1");
    let binary = crate::command::binary();
    let mut command = std::process::Command::new("env");
    command
        .args(asking(&hub.url).map(|(name, value)| format!("{name}={value}")))
        .arg(binary)
        .args(line.split(' '));
    let worker = Program::launch(at_worker, &line, command);
    let worker = worker.wait();
    (hub, master.wait(), worker)
}

#[test]
fn a_worker_fetches_the_tokenizer_that_its_master_has() {
    let _shared = shared();
    let mock = serve(at_once());
    let (hub, master, worker) = with_a_worker(&mock, &[(FILE, Reply::file(WORDS, "w"))]);
    let (master, worker) = (master.expect(0), worker.expect(0));
    assert!(hub.heads()[0].starts_with(&format!("GET {FILE} ")));
    assert!(
        worker.stderr.contains("downloading it from"),
        "{}",
        worker.stderr
    );
    let blob = ".cache/huggingface/hub/models--org--tiny/blobs/w";
    let fetched = fs::read_to_string(worker.folder().join(blob)).unwrap();
    assert_eq!(fetched, WORDS);
    assert_eq!(mock.stats().snapshot().requests.numbered, 4);
    assert!(!worker.stderr.contains(TOKEN) && !master.stderr.contains(TOKEN));
}

#[test]
fn a_worker_that_fetches_another_tokenizer_than_its_masters_takes_no_part() {
    let _shared = shared();
    let mock = serve(at_once());
    // The same words, and another content.
    let other = format!("{WORDS} ");
    let (_hub, master, worker) = with_a_worker(&mock, &[(FILE, Reply::file(&other, "other"))]);
    let said = "the tokenizer `org/tiny` is another one here than on the master";
    assert!(master.stderr.contains(said), "{}", master.stderr);
    assert!(
        worker.stderr.contains("downloading it from"),
        "{}",
        worker.stderr
    );
    master.expect(2);
    assert_eq!(mock.stats().snapshot().requests.numbered, 0);
}

#[test]
fn the_built_in_tokenizer_serves_wherever_one_is_named_and_says_what_it_is() {
    let place = Place::new();
    let said = "built-in tokenizer";
    let args = "dataset generate -c 5 -p 200 -d sonnets --tokenizer built-in --output p.jsonl";
    let made = place.run(&words(args));
    assert!(made.expect(0).stderr.contains(said), "{made:?}");
    let lengths: Vec<String> = place
        .records("p.jsonl")
        .iter()
        .map(|row| {
            let ran = place.run(&[
                "dataset",
                "tokenize",
                row["prompt"].as_str().unwrap(),
                "--tokenizer",
                "built-in",
            ]);
            ran.expect(0).stdout.trim().to_owned()
        })
        .collect();
    assert_eq!(lengths, ["200 tokens"; 5]);

    let mock = serve(at_once());
    let url = url(&mock);
    for line in [
        "run -u 2 --max-requests 4 -o 4 -p 300 --tokenizer built-in --json-file r.json",
        "run -u 2 --max-requests 4 -o 4 -d random -p 300 --tokenizer built-in",
        "gen --tokenizer built-in -p 100:1 --max-tokens 9",
        "prefill --tokenizer built-in -s 100:0",
    ] {
        let args: Vec<&str> = words(line).into_iter().chain(["-H", &url]).collect();
        let ran = place.run(&args);
        assert!(ran.expect(0).stderr.contains(said), "{line}: {ran:?}");
    }
    let result = place.json("r.json");
    assert!(result["notes"].to_string().contains(said), "{result}");
    let named = &result["plan"]["workload"]["tokenizer"];
    assert_eq!(named["name"], "built-in", "{result}");
    assert_eq!(named["sha256"].as_str().map(str::len), Some(64));
}

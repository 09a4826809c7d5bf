//! Who gets into a cluster of real processes, what travels between them, and what is left of it in logs and files.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::process::{Ended, Program, shared};
use crate::server::{Answer, Server};

const KEY: &str = "sk-secret-123";
const HEADER: &str = "other-secret-456";
/// A worker's.
const OWN: &str = "sk-of-the-worker";

/// Passes bytes on between whoever connects and one address, and keeps all of them.
struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (kept, target) = (Arc::clone(&heard), target.to_owned());
        // It serves to the end of the process: nothing waits for it.
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                pass(
                    near.try_clone().unwrap(),
                    far.try_clone().unwrap(),
                    Arc::clone(&kept),
                );
                pass(far, near, Arc::clone(&kept));
            }
        });
        Self { address, heard }
    }

    fn heard(&self, words: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard
            .windows(words.len())
            .any(|seen| seen == words.as_bytes())
    }

    fn bytes(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, kept: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            kept.lock().unwrap().extend_from_slice(&buffer[..read]);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn folder_with_certs() -> Arc<TempDir> {
    let folder = Arc::new(TempDir::new().unwrap());
    let made = Program::start_in(Arc::clone(&folder), "certs --host master.invalid").wait();
    let made = made.expect(0);
    assert!(
        made.stdout.contains("--tls-ca certs/ca.pem"),
        "{}",
        made.stdout
    );
    folder
}

const MASTER: &str = "master --master-bind-port 0 --only-summary -u 2 -r 1000 --max-requests 6 -p 32 -o 8 --provider vllm -m m -L trace --show-request --show-response --json-file result.json --csv locust --records records.jsonl --summary-file summary.csv";
const TLS: &str = "--tls-cert certs/master.pem --tls-key certs/master.key";

/// A master against `server`, and where it listens.
fn master(folder: &Arc<TempDir>, server: &Server, line: &str) -> (Program, String) {
    let line = format!("{MASTER} -H {} {line}", server.url());
    let master = Program::start_in(Arc::clone(folder), &line);
    let address = master.wait_for_words("listening on ");
    let address = address.split(';').next().unwrap().to_owned();
    (master, address)
}

fn worker(folder: &Arc<TempDir>, master: &str, line: &str) -> Program {
    let line = format!("worker --master {master} --threads 1 -L trace --records-dir . {line}");
    Program::start_in(Arc::clone(folder), &line)
}

fn assert_silent(ended: &[&Ended], folder: &Path, secrets: &[&str]) {
    let mut texts: Vec<(String, String)> = Vec::new();
    for ended in ended {
        texts.push((format!("output of {}", ended.pid), ended.stdout.clone()));
        texts.push((format!("log of {}", ended.pid), ended.stderr.clone()));
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            let content = String::from_utf8_lossy(&content).into_owned();
            texts.push((path.display().to_string(), content));
        }
    }
    for (place, text) in texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {place}:\n{text}");
        }
    }
}

#[test]
fn what_certs_makes_is_a_cluster_whose_key_travels_unread() {
    let _machine = shared();
    let folder = folder_with_certs();
    let token = std::fs::read_to_string(folder.path().join("certs/token")).unwrap();
    let token = token.trim();
    let server = Server::start(Answer::Echo);
    let secrets = format!("-k {KEY} --header X-Api-Key:{HEADER} --share-secrets");
    let (master, address) = master(
        &folder,
        &server,
        &format!("{TLS} --token-file certs/token {secrets}"),
    );
    let tap = Tap::before(&address);
    let known = "--tls-ca certs/ca.pem --token-file certs/token";
    let worker = worker(&folder, &tap.address.to_string(), known)
        .wait()
        .expect(0);
    let master = master.wait().expect(0);
    let posts: Vec<_> = server
        .heads()
        .into_iter()
        .filter(|head| head.starts_with("POST "))
        .collect();
    assert_eq!(posts.len(), 6);
    for head in posts {
        assert!(head.contains(KEY) && head.contains(HEADER), "{head}");
    }
    assert_eq!(master.result().total("sent"), 6);
    assert!(tap.bytes() > 5_000, "{}", tap.bytes());
    for unread in [
        KEY,
        HEADER,
        token,
        "llmload-ticket",
        "llmload.v1",
        "spawn_rate",
    ] {
        assert!(!tap.heard(unread), "{unread}");
    }
    assert_silent(&[&master, &worker], folder.path(), &[KEY, HEADER, token]);
}

#[test]
fn in_plain_text_neither_end_says_a_key() {
    let _machine = shared();
    let folder = Arc::new(TempDir::new().unwrap());
    let server = Server::start(Answer::Echo);
    let secrets = format!("-k {KEY} --header X-Api-Key:{HEADER}");
    let (master, address) = master(&folder, &server, &secrets);
    let tap = Tap::before(&address);
    let own = format!("-k {OWN}");
    let worker = worker(&folder, &tap.address.to_string(), &own)
        .wait()
        .expect(0);
    let master = master.wait().expect(0);
    // The tap hears what is said.
    assert!(tap.heard("spawn_rate"));
    for secret in [KEY, HEADER, OWN] {
        assert!(!tap.heard(secret), "{secret}");
    }
    assert!(server.heads().iter().any(|head| head.contains(OWN)));
    assert_silent(&[&master, &worker], folder.path(), &[KEY, HEADER, OWN]);
}

#[test]
fn a_worker_without_the_right_token_is_told_what_to_do_and_the_run_goes_on() {
    let _machine = shared();
    let folder = folder_with_certs();
    std::fs::write(folder.path().join("wrong"), "another-token-of-many-bytes").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("wrong"), private).unwrap();
    let server = Server::start(Answer::Echo);
    let (master, address) = master(&folder, &server, &format!("{TLS} --token-file certs/token"));
    let stranger = worker(&folder, &address, "--tls-ca certs/ca.pem")
        .wait()
        .expect(2);
    insta::assert_snapshot!(complaint(&stranger), @r"
    error: the master asks for a token, and this worker has none
    hint: --token-file FILE or LLMLOAD_TOKEN: the token that the master has
    ");
    let wrong = "--tls-ca certs/ca.pem --token-file wrong";
    let stranger = worker(&folder, &address, wrong).wait().expect(2);
    insta::assert_snapshot!(complaint(&stranger), @r"
    error: the master does not accept this worker's token
    hint: give the master's --token-file, or look whether it is the right master
    ");
    let known = format!("--tls-ca certs/ca.pem --token-file certs/token -k {OWN}");
    let _worker = worker(&folder, &address, &known).wait().expect(0);
    let master = master.wait().expect(0);
    assert_eq!(master.result().total("sent"), 6);
    let said = master.stderr.matches("turned away").count();
    assert_eq!(said, 1, "once a minute: {}", master.stderr);
    assert!(
        !master.stderr.contains("another-token"),
        "{}",
        master.stderr
    );
}

#[test]
fn with_an_authority_only_its_own_certificates_open_the_door() {
    let _machine = shared();
    let folder = folder_with_certs();
    Program::start_in(Arc::clone(&folder), "certs --dir others")
        .wait()
        .expect(0);
    let server = Server::start(Answer::Echo);
    let (master, address) = master(&folder, &server, &format!("{TLS} --tls-ca certs/ca.pem"));
    let without = worker(&folder, &address, "--tls-ca certs/ca.pem")
        .wait()
        .expect(2);
    assert!(
        complaint(&without).contains("TLS with the master fails"),
        "{}",
        without.stderr
    );
    let other = "--tls-ca certs/ca.pem --tls-cert others/worker.pem --tls-key others/worker.key";
    let other = worker(&folder, &address, other).wait().expect(2);
    assert!(
        complaint(&other).contains("TLS with the master fails"),
        "{}",
        other.stderr
    );
    // The master's own certificate is none of a worker.
    let false_one = "--tls-ca certs/ca.pem --tls-cert certs/master.pem --tls-key certs/master.key";
    worker(&folder, &address, false_one).wait().expect(2);
    let deceived = "--tls-ca others/ca.pem --tls-cert certs/worker.pem --tls-key certs/worker.key";
    let deceived = worker(&folder, &address, deceived).wait().expect(2);
    assert!(
        complaint(&deceived).contains("UnknownIssuer"),
        "{}",
        deceived.stderr
    );
    let known = "--tls-ca certs/ca.pem --tls-cert certs/worker.pem --tls-key certs/worker.key --tls-server-name master.invalid";
    worker(&folder, &address, &format!("{known} -k {OWN}"))
        .wait()
        .expect(0);
    assert_eq!(master.wait().expect(0).result().total("sent"), 6);
}

#[test]
fn tls_and_plain_text_do_not_meet_in_silence() {
    let _machine = shared();
    let folder = folder_with_certs();
    let server = Server::start(Answer::Echo);
    let (secured, address) = master(&folder, &server, TLS);
    let plain = worker(&folder, &address, "");
    plain.wait_for_words("no master yet, trying on");
    secured.wait_for_words("turned away: no TLS came about");
    drop(plain);
    let (_plain, address) = master(&folder, &server, "");
    let sure = worker(&folder, &address, "--tls-ca certs/ca.pem")
        .wait()
        .expect(2);
    assert!(
        complaint(&sure).contains("TLS with the master fails"),
        "{}",
        sure.stderr
    );
}

#[test]
fn files_that_cannot_be_used_are_named_and_not_shown() {
    let _machine = shared();
    let folder = folder_with_certs();
    std::fs::write(folder.path().join("short"), "hunter2").unwrap();
    for (line, words) in [
        (
            "worker --token-file short",
            "cannot use `short`: a token of 7 bytes is too short",
        ),
        (
            "worker --token-file none",
            "cannot read `none` of --token-file",
        ),
        (
            "worker --tls-ca short",
            "cannot use `short`: there is no certificate authority in it",
        ),
        (
            "master --tls-cert certs/master.pem --tls-key certs/worker.key",
            "cannot use `certs/master.pem`: certificate and key cannot be used together",
        ),
        (
            "master --tls-cert certs/master.pem --tls-key certs/ca.pem",
            "cannot use `certs/ca.pem`: there is no key in it",
        ),
        (
            "worker --tls-ca certs/ca.pem --tls-server-name a/b",
            "`a/b` is no name",
        ),
    ] {
        let ended = Program::start_in(Arc::clone(&folder), line)
            .wait()
            .expect(2);
        assert!(
            complaint(&ended).contains(words),
            "{line}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("certs/token"), open).unwrap();
    let line = "worker --token-file certs/token";
    let warned = Program::start_in(Arc::clone(&folder), line);
    warned.wait_for_words("others on this machine may read `certs/token`");
}

/// The lines from `error:` on.
fn complaint(ended: &Ended) -> String {
    let lines = ended.stderr.lines();
    let lines: Vec<_> = lines
        .skip_while(|line| !line.starts_with("error:"))
        .collect();
    lines.join("\n")
}

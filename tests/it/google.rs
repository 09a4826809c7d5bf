//! Google's servers from outside: all three APIs against the mock, tokens that are renewed while a run goes on, and what is said
//! where something is missing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::command::{Place, Ran};
use crate::process::{quick_mock, settled, shared};

const ACCOUNT: &str = include_str!("../fixtures/vertex/service_account.json");
const PUBLIC_KEY: &str = include_str!("../fixtures/vertex/service_account.pub.pem");

const AT_VERTEX: &str = "--gcloud-project p --gcloud-region us-central1";

fn run(place: &Place, line: &str, env: &[(&str, &str)]) -> Ran {
    let args: Vec<&str> = line.split_whitespace().collect();
    place.run_with(&args, env)
}

#[test]
fn each_api_is_spoken_and_read_to_the_last_token() {
    let _shared = shared();
    let cases = [
        ("gemini", "", true),
        ("gemini", AT_VERTEX, true),
        (
            "gemini",
            "--gcloud-project p --gcloud-region global --vertexai-endpoint-id 12",
            true,
        ),
        ("vertex-anthropic", AT_VERTEX, true),
        (
            "vertex-predict",
            "--gcloud-project p --gcloud-region r --vertexai-endpoint-id 12",
            false,
        ),
    ];
    let both = |&(provider, place, streams): &(&'static str, &'static str, bool)| {
        let whole = Some((provider, place, false));
        whole
            .into_iter()
            .chain(streams.then_some((provider, place, true)))
    };
    for (provider, at, streamed) in cases.iter().flat_map(both) {
        let mock = quick_mock();
        let place = Place::new();
        let how = if streamed { "" } else { "--no-stream" };
        let line = format!(
            "run -H http://{} --provider {provider} -m m {at} {how} -k a-secret-token -p 40 -o 5 -u 2 -r 1000 \
             --max-requests 6 --seed 7 --only-summary --threads 1 --no-reset-stats --json-file result.json",
            mock.addr()
        );
        run(&place, &line, &[]).expect(0);
        let result = place.json("result.json");
        let seen = settled(&mock);
        assert_eq!(result["totals"]["completed"], 6, "{line}");
        assert_eq!(result["totals"]["failed"], 0, "{line}");
        assert_eq!(
            result["tokens"]["requests_by_source"],
            json!({"usage": 6}),
            "{line}"
        );
        assert_eq!(result["tokens"]["whole_run_output"], 30, "{line}");
        let metrics = result["metrics"].as_object().unwrap();
        assert_eq!(metrics.contains_key("ttft_ms"), streamed, "{line}");
        let counted = (seen.streams.completed, seen.wholes.completed);
        assert_eq!(counted, if streamed { (6, 0) } else { (0, 6) }, "{line}");
    }
}

/// A server of tokens and of predictions: a prediction is for who has a token that lives.
struct Cloud {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    lives: Duration,
    /// When each token was given.
    given: BTreeMap<String, Instant>,
    /// The bodies of the requests for tokens.
    wishes: Vec<String>,
    /// Such requests are refused from here on.
    refuses: Option<usize>,
    /// The tokens that predictions came with, good ones and others.
    welcome: Vec<String>,
    turned_away: Vec<String>,
    /// Headers of the last prediction.
    head: String,
}

impl Cloud {
    fn start(lives: Duration, refuses: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            lives,
            refuses,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        // It serves to the end of the process: nothing waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &state).is_some() {});
            }
        });
        Self { address, state }
    }

    /// The account's file, with this server as the one that gives tokens.
    fn account(&self) -> String {
        let mut account: Value = serde_json::from_str(ACCOUNT).unwrap();
        account["token_uri"] = json!(format!("http://{}/token", self.address));
        account.to_string()
    }

    fn user(&self) -> String {
        json!({"type": "authorized_user", "client_id": "the id", "client_secret": "hunter-2/secret",
            "refresh_token": "1//refresh+secret", "quota_project_id": "payer",
            "token_uri": format!("http://{}/token", self.address)})
        .to_string()
    }

    fn line(&self, more: &str) -> String {
        format!(
            "run -H http://{} --provider vertex-predict --no-stream {AT_VERTEX} --vertexai-endpoint-id 12 -p 40 -o 5 \
             --only-summary --threads 1 --no-reset-stats --json-file result.json --records records.jsonl -L debug {more}",
            self.address
        )
    }
}

/// One request and its answer; `None` when the client goes away.
fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let field = |name: &str| {
        let start = lower.find(&format!("\r\n{name}: "))? + name.len() + 4;
        head[start..].lines().next().map(str::to_owned)
    };
    let length = field("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    let (status, answer) = state
        .lock()
        .unwrap()
        .answer(&head, field("authorization"), body);
    let answer = answer.to_string();
    let text = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(text.as_bytes()).ok()
}

impl State {
    fn answer(&mut self, head: &str, authorization: Option<String>, body: String) -> (u16, Value) {
        if head.starts_with("POST /token ") || head.starts_with("GET /computeMetadata/") {
            return self.token(body);
        }
        head.clone_into(&mut self.head);
        let token = authorization.unwrap_or_default();
        let token = token.strip_prefix("Bearer ").unwrap_or_default().to_owned();
        let lives = self
            .given
            .get(&token)
            .is_some_and(|at| at.elapsed() < self.lives);
        if lives {
            self.welcome.push(token);
            (
                200,
                json!({"predictions": ["Prompt:\nx\nOutput:\nsome words of mine"]}),
            )
        } else {
            let words = format!("token {token} is not welcome");
            self.turned_away.push(token);
            (401, json!({"error": {"code": 401, "message": words}}))
        }
    }

    fn token(&mut self, body: String) -> (u16, Value) {
        self.wishes.push(body);
        if self.refuses.is_some_and(|from| self.wishes.len() > from) {
            let refusal =
                json!({"error": "invalid_grant", "error_description": "quoting hunter-2/secret"});
            return (400, refusal);
        }
        let token = format!("ya29.secret-token-{}", self.wishes.len());
        self.given.insert(token.clone(), Instant::now());
        (
            200,
            json!({"access_token": token, "expires_in": self.lives.as_secs(), "token_type": "Bearer"}),
        )
    }
}

/// What neither an output nor a file shows.
fn assert_silent(place: &Place, ran: &Ran) {
    let told = [&ran.stdout, &ran.stderr].map(|text| ("output".to_owned(), text.clone()));
    let files = place.files().into_iter();
    let files = files.map(|(path, content)| (path.display().to_string(), content));
    for (name, content) in told.into_iter().chain(files) {
        if name.ends_with("credentials.json") {
            continue;
        }
        for trace in ["secret-token", "hunter-2", "refresh+secret", "PRIVATE KEY"] {
            assert!(!content.contains(trace), "{trace} in {name}:\n{content}");
        }
    }
}

/// Holds a signature against the account's public key.
fn assert_signed(wish: &str) -> (Value, Value) {
    let fields: BTreeMap<&str, &str> = wish
        .split('&')
        .filter_map(|it| it.split_once('='))
        .collect();
    assert_eq!(
        fields["grant_type"],
        "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    );
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let (signed, signature) = fields["assertion"].rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let key = SubjectPublicKeyInfoDer::from_pem_slice(PUBLIC_KEY.as_bytes()).unwrap();
    // The key itself stands behind the name of its algorithm, at the end of the document: 2048 bits, 270 bytes.
    let key = &key.as_ref()[key.as_ref().len() - 270..];
    let provider = rustls::crypto::ring::default_provider();
    let good = provider
        .signature_verification_algorithms
        .all
        .iter()
        .any(|algorithm| {
            let signature = decoded(signature);
            algorithm
                .verify_signature(key, signed.as_bytes(), &signature)
                .is_ok()
        });
    assert!(good, "{wish}");
    let json = |part: &str| serde_json::from_slice(&decoded(part)).unwrap();
    (json(head), json(claims))
}

#[test]
fn a_token_that_lives_two_seconds_is_renewed_during_a_run_and_no_request_fails() {
    let _shared = shared();
    let cloud = Cloud::start(Duration::from_secs(2), None);
    let place = Place::new();
    let file = place.write("credentials.json", &cloud.account());
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
    let ran = run(&place, &cloud.line("--qps 10 -u 4 -t 6s"), &env);
    ran.expect(0);
    let state = cloud.state.lock().unwrap();
    assert_eq!(state.turned_away, Vec::<String>::new());
    let mut used = state.welcome.clone();
    used.dedup();
    assert!(used.len() >= 4 && state.welcome.len() >= 50, "{used:?}");
    let (head, claims) = assert_signed(&state.wishes[0]);
    assert_eq!(
        head,
        json!({"alg": "RS256", "typ": "JWT", "kid": "made-for-tests"})
    );
    assert_eq!(claims["iss"], "tester@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("http://{}/token", cloud.address));
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let lives = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lives, 3_600);
    drop(state);
    assert_eq!(place.json("result.json")["totals"]["failed"], 0);
    assert_silent(&place, &ran);
}

#[test]
fn a_request_that_was_put_into_words_long_ago_has_the_token_of_the_moment() {
    let _shared = shared();
    let cloud = Cloud::start(Duration::from_secs(2), None);
    let place = Place::new();
    let file = place.write("credentials.json", &cloud.account());
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
    run(&place, &cloud.line("--qps 0.4 -u 4 -t 8s"), &env).expect(0);
    let state = cloud.state.lock().unwrap();
    assert_eq!(state.turned_away, Vec::<String>::new());
    assert!(state.welcome.len() >= 3, "{:?}", state.welcome);
}

#[test]
fn a_renewal_that_fails_is_said_and_the_old_token_serves_until_it_ends() {
    let _shared = shared();
    let cloud = Cloud::start(Duration::from_secs(3), Some(1));
    let place = Place::new();
    place.write("application_default_credentials.json", &cloud.user());
    let env = [("CLOUDSDK_CONFIG", place.path().to_str().unwrap())];
    let line = cloud.line("--qps 10 -u 4 -t 5s --max-fail-ratio 0.9");
    let ran = run(&place, &line, &env);
    ran.expect(0);
    let state = cloud.state.lock().unwrap();
    assert_eq!(
        state.turned_away,
        Vec::<String>::new(),
        "an ended token is not sent"
    );
    assert!(state.welcome.len() >= 20, "{}", state.welcome.len());
    let head = state.head.to_ascii_lowercase();
    assert!(
        head.contains("\r\nx-goog-user-project: payer\r\n"),
        "{head}"
    );
    assert_eq!(
        state.wishes[0],
        "grant_type=refresh_token&client_id=the%20id&client_secret=hunter-2%2Fsecret&refresh_token=1%2F%2Frefresh%2Bsecret"
    );
    let warning = "cannot renew Google's token, which ends in 1 s: `http://";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("invalid_grant: quoting ***"),
        "{}",
        ran.stderr
    );
    let records = place.records("records.jsonl");
    let failed: Vec<_> = records.iter().filter(|it| it["outcome"] != "ok").collect();
    assert!(!failed.is_empty() && failed.len() < records.len());
    for record in failed {
        assert_eq!(
            record["error"],
            "the request cannot be let in: Google's token has ended, and could not be renewed"
        );
    }
    assert_silent(&place, &ran);
}

#[test]
fn the_machines_own_account_is_asked_for_a_token_and_a_quoted_token_is_masked_after_its_renewal() {
    let _shared = shared();
    let cloud = Cloud::start(Duration::from_secs(2), None);
    // Its tokens are welcome nowhere: each is quoted in a refusal.
    let strict = Cloud::start(Duration::ZERO, None);
    let place = Place::new();
    let metadata = cloud.address.to_string();
    let line = strict.line("--qps 10 -u 4 -t 4s --max-fail-ratio 1");
    let ran = run(&place, &line, &[("GCE_METADATA_HOST", &metadata)]);
    ran.expect(0);
    let turned_away = strict.state.lock().unwrap().turned_away.clone();
    assert!(turned_away.first() != turned_away.last(), "{turned_away:?}");
    let records = place.records("records.jsonl");
    assert!(records.len() >= 30);
    for record in &records {
        let error = record["error"].as_str().unwrap();
        assert!(error.contains("token *** is not welcome"), "{error}");
    }
    assert_silent(&place, &ran);
}

/// A command, its environment, and what is said of them.
type Missing = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn what_is_missing_is_named_before_anything_is_sent() {
    let _shared = shared();
    let place = Place::new();
    let cases: &[Missing] = &[
        (
            "run --provider vertex-predict",
            &[],
            "error: provider `vertex-predict` needs GCLOUD_PROJECT_ID and GCLOUD_REGION and VERTEXAI_ENDPOINT_ID\n\
             hint: set them in the environment, or give --gcloud-project, --gcloud-region, --vertexai-endpoint-id",
        ),
        (
            "run --provider vertex-anthropic -m m",
            &[("VERTEXAI_PROJECT", "p")],
            "error: provider `vertex-anthropic` needs GCLOUD_REGION\n\
             hint: set them in the environment, or give --gcloud-region",
        ),
        (
            "run --provider gemini -m m",
            &[],
            "error: provider `gemini` needs GEMINI_API_KEY\n\
             hint: set it (or GOOGLE_API_KEY), give --api-key, or --gcloud-project for Vertex AI",
        ),
        (
            "run --provider gemini",
            &[("GEMINI_API_KEY", "k")],
            "error: provider `gemini` needs the name of a model\n\
             hint: give --model; Google's servers list none that could be meant",
        ),
        (
            "run --provider vertex-anthropic -m m --gcloud-project p --gcloud-region r",
            &[("NO_GCE_CHECK", "true"), ("CLOUDSDK_CONFIG", "/nowhere")],
            "error: no credentials for Google Cloud: there is neither GCLOUD_ACCESS_TOKEN nor GOOGLE_APPLICATION_CREDENTIALS \
             nor `/nowhere/application_default_credentials.json`, and no metadata server\n\
             hint: `gcloud auth application-default login` makes credentials; GOOGLE_APPLICATION_CREDENTIALS names a file of them",
        ),
        (
            "run --provider vllm -m m --gcloud-project p",
            &[],
            "error: --gcloud-project is for what stands at Google Cloud\n\
             hint: --provider gemini, vertex-predict or vertex-anthropic (or openai with --vertexai-endpoint-id)",
        ),
        (
            "run --provider gemini -m m --gcloud-project p --gcloud-region evil.example/",
            &[],
            "error: `evil.example/` is not a region of Google Cloud\n\
             hint: write one like us-central1, or global",
        ),
    ];
    for (line, env, words) in cases {
        let ran = run(
            &place,
            &format!("{line} --max-requests 1 --connect-timeout 1s"),
            env,
        );
        ran.expect(2);
        assert_eq!(ran.complaint(), *words, "{line}");
    }
}

#[test]
fn googles_own_variables_stand_before_the_one_for_any_server_and_behind_an_option() {
    let _shared = shared();
    for (option, expected) in [("", "from-google"), ("-k from-option", "from-option")] {
        let cloud = Cloud::start(Duration::ZERO, None);
        let place = Place::new();
        let env = [
            ("GCLOUD_ACCESS_TOKEN", "from-google"),
            ("API_KEY", "from-anybody"),
            ("GCLOUD_PROJECT_ID", "of-the-environment"),
        ];
        let line = cloud.line(&format!("--max-requests 1 --max-fail-ratio 1 {option}"));
        run(&place, &line, &env).expect(0);
        assert_eq!(cloud.state.lock().unwrap().turned_away, [expected]);
    }
}

#[test]
fn a_key_for_any_server_is_taken_last_and_no_proxy_holds_for_tokens_too() {
    let _shared = shared();
    let (place, cloud) = (Place::new(), Cloud::start(Duration::from_secs(3_600), None));
    let user = place.write("user.json", &cloud.user());
    let nobody = "http://127.0.0.1:1";
    let env = [
        ("GOOGLE_APPLICATION_CREDENTIALS", user.to_str().unwrap()),
        ("API_KEY", "a-key-for-any-server"),
        ("http_proxy", nobody),
        ("HTTP_PROXY", nobody),
    ];
    let line = cloud.line("-u 1 --max-requests 3 --no-proxy");
    run(&place, &line, &env).expect(0);
    {
        let state = cloud.state.lock().unwrap();
        assert!(state.welcome.len() >= 3, "{:?}", state.turned_away);
        assert_eq!(state.turned_away, [""; 0]);
    }
    // With nothing else it is sent after all.
    let line = cloud.line("-u 1 --max-requests 1 --no-proxy");
    run(&place, &line, &env[1..2]).expect(1);
    let state = cloud.state.lock().unwrap();
    assert!(
        state
            .turned_away
            .iter()
            .all(|key| key == "a-key-for-any-server")
    );
    assert!(!state.turned_away.is_empty());
}

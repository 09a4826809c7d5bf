//! Which place at Google Cloud the options and the environment come to, which server, and which key.

use super::super::*;
use super::settings::run_in;
use super::{Around, resolved};
use crate::provider::Google;

const PLACE: [(&str, &str); 2] = [("GCLOUD_PROJECT_ID", "p"), ("GCLOUD_REGION", "r")];

fn settings(line: &str, variables: &[(&str, &str)]) -> Settings {
    run_in(line, &Around::with(variables)).settings
}

fn google(project: &str, region: &str, endpoint: Option<&str>) -> Google {
    Google {
        project: project.to_owned(),
        region: region.to_owned(),
        endpoint: endpoint.map(str::to_owned),
    }
}

fn key(settings: &Settings) -> Option<&str> {
    settings
        .secrets
        .api_key
        .as_ref()
        .map(crate::domain::Secret::expose)
}

#[test]
fn litellms_names_serve_where_llmperfs_are_not_set() {
    let litellm = [("VERTEXAI_PROJECT", "l"), ("VERTEXAI_LOCATION", "global")];
    let found = settings("--provider vertex-anthropic -m m", &litellm);
    assert_eq!(found.place.google, Some(google("l", "global", None)));
    assert_eq!(found.target.base_url, "https://aiplatform.googleapis.com");
    let both = [PLACE, litellm].concat();
    let found = settings("--provider vertex-anthropic -m m", &both);
    assert_eq!(found.place.google, Some(google("p", "r", None)));
    let line = "--provider vertex-anthropic -m m -H http://h --gcloud-project o";
    let found = settings(line, &both);
    assert_eq!(found.place.google, Some(google("o", "r", None)));
    assert_eq!(found.target.base_url, "http://h");
}

#[test]
fn gemini_goes_where_its_key_is_for_unless_an_option_says_otherwise() {
    let keyed = [
        PLACE.as_slice(),
        &[("GOOGLE_API_KEY", "g"), ("GCLOUD_ACCESS_TOKEN", "t")],
    ]
    .concat();
    let line = "--provider gemini -m m";
    let found = settings(line, &keyed);
    assert_eq!(
        (found.place.google.as_ref(), key(&found)),
        (None, Some("g"))
    );
    assert_eq!(found.target.base_url, crate::provider::GEMINI_SERVER);
    let found = settings(&format!("{line} --gcloud-project o"), &keyed);
    assert_eq!(found.place.google, Some(google("o", "r", None)));
    assert_eq!(key(&found), Some("t"));
    let found = settings(line, &PLACE);
    assert_eq!(found.place.google, Some(google("p", "r", None)));
    assert_eq!(found.target.base_url, "https://r-aiplatform.googleapis.com");
    assert_eq!(key(&found), None);
    let empty = [("GCLOUD_PROJECT_ID", ""), ("GEMINI_API_KEY", " ")];
    assert_eq!(settings(line, &empty).place.google, None);
}

#[test]
fn an_endpoint_of_the_environment_is_for_predictions_alone() {
    let variables = [PLACE.as_slice(), &[("VERTEXAI_ENDPOINT_ID", "12")]].concat();
    let endpoint = |line: &str| {
        let found = settings(line, &variables);
        found.place.google.and_then(|google| google.endpoint)
    };
    assert_eq!(
        endpoint("--provider vertex-predict --no-stream").as_deref(),
        Some("12")
    );
    assert_eq!(endpoint("--provider gemini -m m"), None);
    let told = "--provider gemini -m m --vertexai-endpoint-id 13";
    assert_eq!(endpoint(told).as_deref(), Some("13"));
}

#[test]
fn an_endpoint_that_speaks_like_openais_is_spoken_to_in_those_words() {
    let line = "--provider openai -m m --vertexai-endpoint-id 12";
    let found = settings(
        line,
        &[PLACE.as_slice(), &[("GCLOUD_ACCESS_TOKEN", "t")]].concat(),
    );
    assert_eq!(
        found.place.root.as_deref(),
        Some("/v1beta1/projects/p/locations/r/endpoints/12")
    );
    assert_eq!(found.target.base_url, "https://r-aiplatform.googleapis.com");
    assert_eq!(key(&found), Some("t"));
    let elsewhere = settings("--provider openai -m m", &PLACE);
    assert_eq!(elsewhere.place, crate::provider::Place::default());
    assert_eq!(elsewhere.target.base_url, "http://localhost:80");
}

#[test]
fn other_servers_get_no_token_of_googles() {
    let variables = [
        ("GCLOUD_ACCESS_TOKEN", "t"),
        ("GEMINI_API_KEY", "g"),
        ("API_KEY", "any"),
    ];
    assert_eq!(
        key(&settings("--provider vllm -m m", &variables)),
        Some("any")
    );
    assert_eq!(
        key(&settings("--provider gemini -m m", &variables)),
        Some("g")
    );
    // Only one that was said is for Amazon, and one for any server is known as such.
    let any = settings("--provider vllm -m m", &variables).secrets;
    assert!(any.is_any_key);
    let region = [("API_KEY", "any"), ("AWS_REGION", "us-east-1")];
    let amazon = settings("--provider bedrock -m m", &region);
    assert_eq!(key(&amazon), None);
    let said = settings("--provider bedrock -m m -k said", &region);
    assert_eq!((key(&said), said.secrets.is_any_key), (Some("said"), false));
    let missing = resolved(
        "run --provider vertex-predict --no-stream",
        &Around::with(&PLACE),
    );
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("VERTEXAI_ENDPOINT_ID")
    );
}

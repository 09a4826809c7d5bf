//! What the APIs of Amazon share: event streams, signatures, the places of a row's fields, names of regions.
//! It knows no API's words.

pub(super) mod place;
mod sigv4;
pub(super) mod stream;

pub use sigv4::{Keys, SignError, Signer};

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue};

/// The region in a host's name, like that of `bedrock-runtime.us-east-1.amazonaws.com`.
pub fn region_of_host(host: &str) -> Option<&str> {
    let is_amazons = ["amazonaws.com", "amazonaws.com.cn", "api.aws"]
        .iter()
        .any(|domain| host.ends_with(domain));
    host.split('.')
        .filter(|_| is_amazons)
        .find(|label| is_region(label))
}

/// Whether `label` is like `us-east-1`, `us-gov-west-1` or `eusc-de-east-1`.
pub fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [first, middle @ .., number] => {
            (2..=4).contains(&first.len())
                && is_word(first)
                && !middle.is_empty()
                && middle.iter().all(is_word)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// What a request says of the answer that it takes.
pub(super) const fn accept(stream: bool) -> (HeaderName, HeaderValue) {
    let value = if stream {
        "application/vnd.amazon.eventstream"
    } else {
        "application/json"
    };
    (ACCEPT, HeaderValue::from_static(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_hosts_tell_their_region_and_no_others_do() {
        for (host, region) in [
            ("bedrock-runtime.us-east-1.amazonaws.com", Some("us-east-1")),
            (
                "runtime.sagemaker.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            (
                "runtime.sagemaker.cn-north-1.amazonaws.com.cn",
                Some("cn-north-1"),
            ),
            (
                "vpce-0a1b-us.bedrock-runtime.eu-central-1.vpce.amazonaws.com",
                Some("eu-central-1"),
            ),
            (
                "bedrock-runtime.eusc-de-east-1.amazonaws.com",
                Some("eusc-de-east-1"),
            ),
            ("bedrock-runtime.us-east-1.example.com", None),
            ("amazonaws.com", None),
            ("localhost", None),
        ] {
            assert_eq!(region_of_host(host), region, "{host}");
        }
    }
}

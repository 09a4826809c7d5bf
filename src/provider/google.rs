//! Where things stand at Google Cloud: paths, and the usual servers. It opens no connection.

use super::body::path_segment;
use super::spec::Google;

/// The usual server of the Gemini API, which an API key is for.
pub const GEMINI_SERVER: &str = "https://generativelanguage.googleapis.com";

impl Google {
    /// The usual server of Vertex AI in this region, with its scheme.
    pub fn server(&self) -> String {
        match self.region.as_str() {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            region @ ("us" | "eu") => format!("https://aiplatform.{region}.rep.googleapis.com"),
            region => format!("https://{region}-aiplatform.googleapis.com"),
        }
    }

    /// What stands before `/chat/completions` where a deployed model speaks like OpenAI's; `None` without an endpoint.
    pub fn chat_root(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref()?;
        Some(self.below("v1beta1", &format!("endpoints/{}", segment(endpoint))))
    }

    /// The path of a method (from its colon) of the endpoint if there is one, else of a publisher's model.
    pub(super) fn method(&self, publisher: &str, model: &str, method: &str) -> String {
        let resource = match &self.endpoint {
            Some(endpoint) => format!("endpoints/{}", segment(endpoint)),
            None => format!("publishers/{publisher}/models/{}", segment(model)),
        };
        self.below("v1", &format!("{resource}{method}"))
    }

    fn below(&self, version: &str, resource: &str) -> String {
        let (project, region) = (segment(&self.project), segment(&self.region));
        format!("/{version}/projects/{project}/locations/{region}/{resource}")
    }
}

/// A part of a path. Versions of models stand behind an `@`, which a path may have (RFC 3986, 3.3).
pub(super) fn segment(text: &str) -> String {
    path_segment(text).replace("%40", "@")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str, endpoint: Option<&str>) -> Google {
        Google {
            project: "p 1".to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
        }
    }

    #[test]
    fn every_region_has_its_server() {
        let server = |region| place(region, None).server();
        assert_eq!(
            server("europe-west4"),
            "https://europe-west4-aiplatform.googleapis.com"
        );
        assert_eq!(server("global"), "https://aiplatform.googleapis.com");
        assert_eq!(server("eu"), "https://aiplatform.eu.rep.googleapis.com");
    }

    #[test]
    fn an_endpoint_takes_the_models_place() {
        assert_eq!(
            place("r", None).method("anthropic", "claude@1", ":rawPredict"),
            "/v1/projects/p%201/locations/r/publishers/anthropic/models/claude@1:rawPredict"
        );
        assert_eq!(
            place("r", Some("12")).method("google", "m", ":predict"),
            "/v1/projects/p%201/locations/r/endpoints/12:predict"
        );
        assert_eq!(place("r", None).chat_root(), None);
        assert_eq!(
            place("r", Some("12")).chat_root().as_deref(),
            Some("/v1beta1/projects/p%201/locations/r/endpoints/12")
        );
    }
}

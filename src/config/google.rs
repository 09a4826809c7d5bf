//! What the options and the environment tell of Google's servers: the place, and an explicit token or key.
//! Credentials that renew themselves are found by whoever sends.

use super::Surroundings;
use super::build::{Builder, Result};
use super::cli::TestArgs;
use super::error::Fault;
use super::source::Source;
use crate::domain::Secret;
use crate::provider::{GEMINI_SERVER, Google, Kind, Place};

/// Hold the project.
pub(super) const PROJECT: &[&str] = &[
    "GCLOUD_PROJECT_ID",
    "VERTEXAI_PROJECT",
    "VERTEX_PROJECT",
    "GOOGLE_CLOUD_PROJECT",
];
/// Hold the region.
pub(super) const REGION: &[&str] = &[
    "GCLOUD_REGION",
    "VERTEXAI_LOCATION",
    "VERTEX_LOCATION",
    "GOOGLE_CLOUD_LOCATION",
];
/// Hold a token of Vertex AI.
pub(super) const TOKEN_VARIABLES: &[&str] = &["GCLOUD_ACCESS_TOKEN"];
/// Hold a key of the Gemini API.
pub(super) const KEY_VARIABLES: &[&str] = &["GEMINI_API_KEY", "GOOGLE_API_KEY"];

/// The explicit token, or the key, in the environment; an empty variable holds none.
pub fn google_key(around: &dyn Surroundings, at_vertex: bool) -> Option<Secret> {
    let names = if at_vertex {
        TOKEN_VARIABLES
    } else {
        KEY_VARIABLES
    };
    let values = names.iter().filter_map(|name| around.variable(name));
    let values = values.map(|value| value.trim().to_owned());
    let mut values = values.filter(|value| !value.is_empty());
    values.next().map(Secret::new)
}

/// The usual server of an API of Google's.
pub(super) fn usual_address(kind: Option<Kind>, place: &Place) -> Option<String> {
    match (kind, &place.google) {
        (_, Some(google)) => Some(google.server()),
        (Some(Kind::Gemini), None) => Some(GEMINI_SERVER.to_owned()),
        _ => None,
    }
}

impl Kind {
    /// Whether it is one of Google's own.
    pub const fn is_google(self) -> bool {
        matches!(
            self,
            Self::Gemini | Self::VertexPredict | Self::VertexAnthropic
        )
    }
}

impl Builder<'_> {
    /// `place` with the one at Vertex AI, where the API stands there; what it lacks is named here.
    pub(super) fn with_google(&self, args: &TestArgs, place: Place) -> Result<Place> {
        let Some(kind) = args.target.provider else {
            return Ok(place);
        };
        let endpoint = self.endpoint(kind, args);
        if !self.is_at_vertex(kind, args, endpoint.is_some()) {
            return Ok(place);
        }
        let project = present(args.provider.gcloud_project.as_ref());
        let region = present(args.provider.gcloud_region.as_ref());
        let wanted = [
            ("GCLOUD_PROJECT_ID", "--gcloud-project", project.is_some()),
            ("GCLOUD_REGION", "--gcloud-region", region.is_some()),
            (
                "VERTEXAI_ENDPOINT_ID",
                "--vertexai-endpoint-id",
                endpoint.is_some() || kind != Kind::VertexPredict,
            ),
        ];
        let (Some(project), Some(region), (_, _, true)) = (project, region, wanted[2]) else {
            return self.check("provider", Err(missing(kind, &wanted)));
        };
        let google = Google {
            project,
            region: self.check("gcloud_region", sound(region))?,
            endpoint,
        };
        // Others' words at an endpoint: of a model that speaks like OpenAI's.
        let root = (!kind.is_google()).then(|| google.chat_root()).flatten();
        Ok(Place {
            root: root.or(place.root),
            google: Some(google),
            ..place
        })
    }

    /// An endpoint in the environment is meant for the one API that cannot do without.
    fn endpoint(&self, kind: Kind, args: &TestArgs) -> Option<String> {
        let endpoint = present(args.provider.vertexai_endpoint_id.as_ref());
        endpoint.filter(|_| kind == Kind::VertexPredict || self.is_said("vertexai_endpoint_id"))
    }

    fn is_at_vertex(&self, kind: Kind, args: &TestArgs, has_endpoint: bool) -> bool {
        match kind {
            Kind::VertexPredict | Kind::VertexAnthropic => true,
            Kind::Gemini => {
                let keyed = self.is_said("api_key") || google_key(self.around, false).is_some();
                let project = present(args.provider.gcloud_project.as_ref());
                let stands_ready = project.is_some() && !keyed;
                has_endpoint || self.is_said("gcloud_project") || stands_ready
            }
            Kind::OpenAi | Kind::Vllm => has_endpoint,
            _ => false,
        }
    }

    /// Whether an option was given on the command line or in a file: not by a variable that stands there for other programs.
    pub(super) fn is_said(&self, id: &str) -> bool {
        matches!(
            self.merged.source(id),
            Source::CommandLine | Source::File { .. }
        )
    }

    /// The key for `kind`, and whether it is the environment's for any server: that is the last to be taken at Google's servers,
    /// behind the one in Google's own variables, and is not for Amazon's.
    pub(super) fn key_for(
        &self,
        kind: Option<Kind>,
        place: &Place,
        given: Option<Secret>,
    ) -> (Option<Secret>, bool) {
        if given.is_some() && self.is_said("api_key") {
            return (given, false);
        }
        let given = given.filter(|_| !kind.is_some_and(Kind::is_aws));
        let is_google = place.google.is_some() || kind.is_some_and(Kind::is_google);
        let own = is_google.then(|| google_key(self.around, place.google.is_some()));
        match own.flatten() {
            Some(own) => (Some(own), false),
            None => {
                let is_any_key = given.is_some();
                (given, is_any_key)
            }
        }
    }
}

/// An empty variable gives nothing.
fn present(value: Option<&String>) -> Option<String> {
    value
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// A region becomes a part of a host's name.
pub(super) fn sound(region: String) -> std::result::Result<String, Fault> {
    let is_sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.bytes().all(is_sound) {
        return Ok(region);
    }
    Err(
        Fault::new(format!("`{region}` is not a region of Google Cloud"))
            .hint("write one like us-central1, or global"),
    )
}

fn missing(kind: Kind, wanted: &[(&str, &str, bool)]) -> Fault {
    let lacks = wanted.iter().filter(|(_, _, has)| !has);
    let names: Vec<&str> = lacks.clone().map(|(name, ..)| *name).collect();
    let options: Vec<&str> = lacks.map(|(_, option, _)| *option).collect();
    Fault::new(format!("provider `{kind}` needs {}", names.join(" and "))).hint(format!(
        "set them in the environment, or give {}",
        options.join(", ")
    ))
}

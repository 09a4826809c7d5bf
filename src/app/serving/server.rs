//! Asking a server what it is: its model, its versions, the arguments that it was launched with. Nothing here is a load.

use std::time::Duration;

use anyhow::anyhow;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::backend::Says;
use super::carrier::Carrier;
use super::target::Target;
use crate::app::discover::{self, Way};
use crate::app::failure::{Failure, chain};
use crate::app::target::read_text;
use crate::config::Settings;
use crate::domain::is_secret_header;

/// How long a server may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server said.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The model to name in requests.
    pub(super) model: String,
    /// Its versions, and what it was launched with: for `parameters`.
    pub(super) parameters: Map<String, Value>,
    /// The most tokens of a prompt and its answer, where its list of models says so.
    pub(super) longest: Option<u32>,
    /// What is to be told of it.
    pub(super) notes: Vec<String>,
}

/// Who asks.
pub(super) struct Asker<'a> {
    client: reqwest::Client,
    target: &'a Target,
    settings: &'a Settings,
}

/// The content of the CA file, where there is one.
pub(super) fn ca_pem(settings: &Settings) -> Result<Option<String>, Failure> {
    let path = settings.target.ca_cert.as_deref();
    path.map(|path| read_text(path, "the CA file", "--ca-cert takes a PEM file"))
        .transpose()
}

/// The launch arguments that may stand in a file: the model is told apart, and a server started with a key tells it here.
fn shown(arguments: Map<String, Value>) -> impl Iterator<Item = (String, Value)> {
    let arguments = arguments.into_iter().filter(|(name, _)| name != "model");
    arguments.map(|(name, value)| {
        // Tokens of text are no secret.
        let named = name.replace("tokenizer", "").replace("tokens", "");
        let is_hidden = is_secret_header(&named) && (value.is_string() || value.is_array());
        let value = if is_hidden { Value::from("***") } else { value };
        (name, value)
    })
}

impl<'a> Asker<'a> {
    /// With the settings of the load.
    ///
    /// # Errors
    /// TLS or a proxy that cannot be set up.
    pub(super) fn new(target: &'a Target, carrier: &'a Carrier) -> Result<Self, Failure> {
        let settings = carrier.settings();
        let ca_pem = ca_pem(settings)?;
        let way = Way {
            ca_pem: ca_pem.as_deref(),
            source: carrier.source(),
        };
        Ok(Self {
            client: discover::client(settings, way)?,
            target,
            settings,
        })
    }

    /// What the server says of itself.
    ///
    /// # Errors
    /// Nothing answers there, or no model can be named.
    pub(super) async fn ask(&self) -> Result<Known, Failure> {
        let known = self.find_out().await;
        known.map_err(|failure| failure.without(&self.settings.secrets.values()))
    }

    async fn find_out(&self) -> Result<Known, Failure> {
        let mut known = Known::default();
        let mut named = None;
        let says = self.target.backend.says;
        if says == Says::Info {
            named = self.info(&mut known).await?;
        }
        match says {
            Says::Version(path, field) => self.version(path, field, &mut known).await?,
            Says::Info if known.parameters.is_empty() => {
                self.version("/version", "version", &mut known).await?;
            }
            _ => {}
        }
        let named = self.target.model.clone().or(named);
        known.model = match named {
            Some(model) => model,
            None => self.listed().await?,
        };
        known.longest = self.longest(&known.model).await;
        let shown = known.parameters.get("model_name").cloned();
        let shown = match &self.target.model_name {
            Some(name) => Value::from(name.clone()),
            None => shown.unwrap_or_else(|| Value::from(known.model.clone())),
        };
        known.parameters.insert("model_name".to_owned(), shown);
        Ok(known)
    }

    /// What `happy_vllm` says: the model's name, both versions, and the launch arguments.
    async fn info(&self, known: &mut Known) -> Result<Option<String>, Failure> {
        let path = &self.target.info;
        let Some(info) = self.get(path).await? else {
            known.notes.push(format!(
                "nothing is at {path}: taken for a plain vLLM, by /v1/models and /version"
            ));
            return Ok(None);
        };
        for (field, name) in [
            ("version", "happy_vllm_version"),
            ("vllm_version", "vllm_version"),
        ] {
            let version = info.get(field).cloned().unwrap_or(Value::Null);
            known.parameters.insert(name.to_owned(), version);
        }
        let path = &self.target.launch_arguments;
        match self.get(path).await? {
            Some(Value::Object(arguments)) => {
                known.parameters.extend(shown(arguments));
            }
            _ => known.notes.push(format!(
                "nothing is at {path}: the launch arguments are not known"
            )),
        }
        Ok(info["model_name"].as_str().map(str::to_owned))
    }

    async fn version(&self, path: &str, field: &str, known: &mut Known) -> Result<(), Failure> {
        let name = match self.target.backend.name {
            "happy_vllm" | "vllm" => "vllm_version".to_owned(),
            other => format!("{other}_version"),
        };
        if let Some(answer) = self.get(path).await?
            && let Some(version) = answer.get(field)
        {
            known.parameters.insert(name, version.clone());
        }
        Ok(())
    }

    /// The first of the list of models.
    async fn listed(&self) -> Result<String, Failure> {
        let root = self.target.speech.place.root.as_deref().unwrap_or("/v1");
        let mut listed = self.get(&format!("{root}/models")).await?;
        if let (None, "tgi") = (&listed, self.target.backend.name) {
            // What it is called in its own words.
            let info = self.get("/info").await?.unwrap_or_default();
            listed = Some(serde_json::json!({"data": [{"id": info["model_id"]}]}));
        }
        let first = listed
            .as_ref()
            .and_then(|list| list["data"][0]["id"].as_str());
        first.map(str::to_owned).ok_or_else(|| {
            let error = anyhow!(
                "{} does not say which model it serves",
                self.target.base_url
            );
            Failure::usage(error).hint("--model NAME")
        })
    }

    /// How many tokens the model takes, where the list of models says so.
    async fn longest(&self, model: &str) -> Option<u32> {
        let root = self.target.speech.place.root.as_deref().unwrap_or("/v1");
        let listed = self.get(&format!("{root}/models")).await.ok()??;
        let models = listed["data"].as_array()?;
        let found = models.iter().find(|listed| listed["id"] == model)?;
        u32::try_from(found["max_model_len"].as_u64()?).ok()
    }

    /// The JSON at `path`; `None` where there is none.
    async fn get(&self, path: &str) -> Result<Option<Value>, Failure> {
        let url = self.target.url(path);
        let mut request = self.client.get(&url).timeout(PATIENCE);
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        if let Some(key) = &self.settings.secrets.api_key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        for (name, value) in &self.settings.secrets.headers {
            request = request.header(name, value.expose());
        }
        let refused = |words: String| {
            Failure::failed(anyhow!("cannot ask `{url}`: {words}"))
                .hint("is the server up, and are --base-url, or --host and --port, its address?")
        };
        let answer = request.send().await;
        let answer = answer.map_err(|error| refused(chain(&error.without_url())))?;
        match answer.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(refused(format!("status {status}"))
                    .hint("--api-key, or API_KEY in the environment"))
            }
            status if !status.is_success() => Ok(None),
            // What is no JSON is some page for people.
            _ => Ok(answer.json().await.ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn launch_arguments_tell_no_key() {
        let arguments = json!({"model": "m", "api_key": "sk-1", "max_model_len": 2048, "hf_token": null, "seed": 0,
            "max_num_batched_tokens": 512, "tokenizer": "t"});
        let arguments = arguments.as_object().cloned().unwrap();
        let told: Map<String, Value> = shown(arguments).collect();
        let expected = json!({"api_key": "***", "max_model_len": 2048, "hf_token": null, "seed": 0,
            "max_num_batched_tokens": 512, "tokenizer": "t"});
        assert_eq!(Value::Object(told), expected);
    }
}

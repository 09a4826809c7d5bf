//! The environment as a client asks it: what is missing is gathered, so that all of it can be named at once.

use crate::config::error::{ConfigError, Fault};
use crate::config::{Source, Surroundings, aws_secrets, target};
use crate::domain::{AwsSecrets, Secret};

/// Variables that are asked for. An empty one is not set.
pub(super) struct Variables<'a> {
    around: &'a dyn Surroundings,
    /// Of each that is missing, its names: any of them would do.
    missing: Vec<&'static [&'static str]>,
}

/// The address of a server, and where it was said.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) text: String,
    place: Source,
}

impl Base {
    /// An address of the environment's or of the table's.
    pub(super) fn new(text: impl Into<String>, place: Source) -> Self {
        Self {
            text: text.into(),
            place,
        }
    }

    /// The address, without the `/v1` that its API adds.
    pub(super) fn url(&self) -> Result<String, ConfigError> {
        let (text, _) = self.without_version();
        target::base_url(text).map_err(|fault| fault.at(self.place.clone()))
    }

    /// The address, and what stands between it and `/chat/completions`, where that is not `/v1`.
    pub(super) fn of_openai(&self) -> Result<(String, Option<String>), ConfigError> {
        let (_, has_version) = self.without_version();
        Ok((self.url()?, (!has_version).then(String::new)))
    }

    fn without_version(&self) -> (&str, bool) {
        let text = self.text.trim().trim_end_matches('/');
        match text.strip_suffix("/v1") {
            // The host may be called `v1`.
            Some(before) if !before.ends_with('/') => (before, true),
            _ => (text, false),
        }
    }
}

impl<'a> Variables<'a> {
    pub(super) fn new(around: &'a dyn Surroundings) -> Self {
        Self {
            around,
            missing: Vec::new(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let value = self.around.variable(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// What lets requests in at Amazon.
    pub(super) fn aws(&self) -> AwsSecrets {
        aws_secrets(self.around)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The first of these that is set, and its name.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        let mut set = names
            .iter()
            .filter_map(|name| Some((*name, self.value(name)?)));
        set.next()
    }

    /// The first of these that is set; none is noted as missing, and an empty text stands for it.
    pub(super) fn needed(&mut self, names: &'static [&'static str]) -> String {
        match self.first(names) {
            Some((_, value)) => value,
            None => {
                self.missing.push(names);
                String::new()
            }
        }
    }

    /// The first of these that is set.
    pub(super) fn if_set(&self, names: &[&'static str]) -> Option<String> {
        self.first(names).map(|(_, value)| value)
    }

    /// The key in the first of these that is set; none is noted as missing.
    pub(super) fn secret(
        &mut self,
        names: &'static [&'static str],
    ) -> Result<Option<Secret>, ConfigError> {
        let secret = self.secret_if_set(names)?;
        if secret.is_none() {
            self.missing.push(names);
        }
        Ok(secret)
    }

    /// The key in the first of these that is set.
    pub(super) fn secret_if_set(
        &self,
        names: &[&'static str],
    ) -> Result<Option<Secret>, ConfigError> {
        let Some((name, value)) = self.first(names) else {
            return Ok(None);
        };
        let at = |fault: Fault| fault.at(Source::Environment(name.to_owned()));
        target::api_key(&value).map(Some).map_err(at)
    }

    /// The address in the first of these that is set, else the usual one; without one they are noted as missing.
    pub(super) fn base(&mut self, names: &'static [&'static str], usual: Option<&str>) -> Base {
        if let Some((name, text)) = self.first(names) {
            return Base::new(text, Source::Environment(name.to_owned()));
        }
        if usual.is_none() {
            self.missing.push(names);
        }
        // Any address: whoever misses one never sees it.
        Base::new(usual.unwrap_or("http://localhost"), Source::Default)
    }

    /// Names everything that is missing.
    pub(super) fn missing(&self, api: &str, model: &str) -> Result<(), ConfigError> {
        let mut missing: Vec<String> = Vec::new();
        for names in &self.missing {
            let words = match names.split_first() {
                Some((first, [])) => (*first).to_owned(),
                Some((first, others)) => format!("{first} (or {})", others.join(", ")),
                None => continue,
            };
            if !missing.contains(&words) {
                missing.push(words);
            }
        }
        let verb = if missing.len() == 1 { "is" } else { "are" };
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        let fault = Fault::new(format!(
            "client `{api}` cannot ask for `{model}`: {missing} {verb} not set"
        ));
        let fault = fault.hint("set what is missing in the environment");
        Err(fault.at(Source::CommandLine))
    }
}

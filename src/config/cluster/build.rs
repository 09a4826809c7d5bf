//! The cluster's options beside each other: which of them make a cluster that strangers stay out of.
//! It reads no file.

use std::path::PathBuf;
use std::time::Duration;

use super::args::{BindArgs, ConnectArgs};
use super::{
    ClientTlsFiles, Connection, Heartbeats, Journal, MasterSecurity, ServerTlsFiles,
    TOKEN_VARIABLE, TokenSource,
};
use crate::config::build::{Builder, Result, host_alone};
use crate::config::error::Fault;
use crate::config::source::Source;
use crate::config::{Endpoint, target};
use crate::domain::format_span;

/// A heartbeat may be so late; less would take a busy machine for one that is gone.
const LATE: Duration = Duration::from_millis(500);

impl Builder<'_> {
    /// Where a master listens. Whether it may there is [`Self::security`]'s to say.
    pub(in crate::config) fn bind(&self, args: &BindArgs) -> Result<Endpoint> {
        let host = if args.master_bind_host == "*" {
            "0.0.0.0"
        } else {
            &args.master_bind_host
        };
        self.check("master_bind_host", host_alone(host, args.master_bind_port))
    }

    pub(in crate::config) fn security(
        &self,
        args: &BindArgs,
        bind: &Endpoint,
    ) -> Result<MasterSecurity> {
        let identity = self.identity(args.tls_cert.as_ref(), args.tls_key.as_ref())?;
        if identity.is_none() && args.tls_ca.is_some() {
            let fault = Fault::new("--tls-ca asks workers for certificates, and TLS is off");
            let hint = "give the master's own --tls-cert and --tls-key too";
            return self.check("tls_ca", Err(fault.hint(hint)));
        }
        let security = MasterSecurity {
            token: self.token(args.token_file.as_ref())?,
            tls: identity.map(|(cert, key)| ServerTlsFiles {
                cert,
                key,
                client_ca: args.tls_ca.clone(),
            }),
            share_secrets: args.share_secrets,
        };
        self.check("share_secrets", shares_safely(&security))?;
        if !args.insecure && !target::is_loopback(&bind.host) {
            self.check("master_bind_host", keeps_strangers_out(&security, bind))?;
        }
        Ok(security)
    }

    /// Workers to wait for.
    pub(in crate::config) fn expected(&self, args: &BindArgs) -> Result<u32> {
        let expected = args.expect_workers;
        if expected <= args.max_workers {
            return Ok(expected);
        }
        let most = args.max_workers;
        let fault = Fault::new(format!(
            "{expected} workers are waited for, and {most} are let in"
        ));
        let hint = "--max-workers is at least --expect-workers";
        self.check("expect_workers", Err(fault.hint(hint)))
    }

    pub(in crate::config) fn heartbeats(&self, args: &BindArgs) -> Result<Heartbeats> {
        let (interval, missing_after) = (args.heartbeat_interval, args.missing_after);
        let at = if self.merged.is_given("missing_after") {
            "missing_after"
        } else {
            "heartbeat_interval"
        };
        let least = interval.saturating_mul(2).max(interval + LATE);
        let sound = if missing_after >= least {
            Ok(Heartbeats {
                interval,
                missing_after,
            })
        } else {
            let fault = Fault::new(format!(
                "a worker that says each {} that it is there cannot be missing after {}",
                format_span(interval),
                format_span(missing_after)
            ));
            let hint = "--missing-after is at least twice --heartbeat-interval, and half a second more than it";
            Err(fault.hint(hint))
        };
        self.check(at, sound)
    }

    pub(in crate::config) fn connection(&self, args: &ConnectArgs) -> Result<Connection> {
        let (scheme, master) = self.master(args)?;
        let tls = self.client_tls(args, scheme)?;
        let token = self.token(args.token_file.as_ref())?;
        if token.is_some() && tls.is_none() && !args.insecure && !target::is_loopback(&master.host)
        {
            let fault = Fault::new(format!(
                "the token would travel to `{}` in plain text",
                master.host
            ));
            let hint = "give --tls-ca, write --master https://…, or --insecure if nobody listens on the way";
            return self.check("master", Err(fault.hint(hint)));
        }
        Ok(Connection { master, token, tls })
    }

    fn client_tls(
        &self,
        args: &ConnectArgs,
        scheme: Option<bool>,
    ) -> Result<Option<ClientTlsFiles>> {
        let identity = self.identity(args.tls_cert.as_ref(), args.tls_key.as_ref())?;
        if scheme == Some(false) && args.tls_ca.is_some() {
            let fault = Fault::new("--tls-ca switches TLS on, and http:// is without");
            return self.check("master", Err(fault.hint("write --master https://…")));
        }
        if scheme == Some(true) || args.tls_ca.is_some() {
            return Ok(Some(ClientTlsFiles {
                ca: args.tls_ca.clone(),
                identity,
                server_name: args.tls_server_name.clone(),
            }));
        }
        let (id, option) = if identity.is_some() {
            ("tls_cert", "--tls-cert")
        } else if args.tls_server_name.is_some() {
            ("tls_server_name", "--tls-server-name")
        } else {
            return Ok(None);
        };
        let fault = Fault::new(format!("{option} means nothing without TLS"));
        let hint = "give --tls-ca, or write --master https://… where the system trusts the master's certificate";
        self.check(id, Err(fault.hint(hint)))
    }

    /// The master's place, and whether a scheme before it switches TLS on or off.
    fn master(&self, args: &ConnectArgs) -> Result<(Option<bool>, Endpoint)> {
        let Some(both) = &args.master else {
            let alone = host_alone(&args.master_host, args.master_port);
            return Ok((None, self.check("master_host", alone)?));
        };
        let (scheme, place) = match both.trim().split_once("://") {
            Some((scheme, place)) if scheme.eq_ignore_ascii_case("https") => (Some(true), place),
            Some((scheme, place)) if scheme.eq_ignore_ascii_case("http") => (Some(false), place),
            _ => (None, both.as_str()),
        };
        let place = if scheme.is_some() {
            place.trim_end_matches('/')
        } else {
            place
        };
        let master = self.check("master", target::endpoint(place, args.master_port))?;
        Ok((scheme, master))
    }

    fn identity(
        &self,
        cert: Option<&PathBuf>,
        key: Option<&PathBuf>,
    ) -> Result<Option<(PathBuf, PathBuf)>> {
        let (id, given, lacking) = match (cert, key) {
            (Some(cert), Some(key)) => return Ok(Some((cert.clone(), key.clone()))),
            (None, None) => return Ok(None),
            (Some(_), None) => ("tls_cert", "--tls-cert", "--tls-key"),
            (None, Some(_)) => ("tls_key", "--tls-key", "--tls-cert"),
        };
        let fault = Fault::new(format!("{given} means nothing without {lacking}"));
        let hint =
            format!("give {lacking}, or leave {given} out; `llmload certs` makes both files");
        self.check(id, Err(fault.hint(hint)))
    }

    /// The stronger of the file and the variable.
    fn token(&self, file: Option<&PathBuf>) -> Result<Option<TokenSource>> {
        let file = file.map(|path| TokenSource::File(path.clone()));
        let Some((text, place)) = self.token_variable() else {
            return Ok(file);
        };
        let from_file = self.merged.source("token_file");
        if file.is_some() && from_file.rank() > place.rank() {
            return Ok(file);
        }
        if file.is_some() && from_file.rank() == place.rank() {
            let fault = Fault::new(format!("{from_file} and {place} exclude each other"));
            return Err(fault.hint("leave one of them out").at(Source::Default));
        }
        let token = super::token(&text)
            .map_err(|error| Fault::new(error.to_string()).hint(error.hint()).at(place))?;
        Ok(Some(TokenSource::Given(token)))
    }

    /// The token in the environment, and its place. An empty variable is none, as everywhere.
    pub(in crate::config) fn token_variable(&self) -> Option<(String, Source)> {
        let text = self.around.variable(TOKEN_VARIABLE)?;
        let place = Source::Environment(TOKEN_VARIABLE.to_owned());
        (!text.is_empty()).then_some((text, place))
    }
}

pub(in crate::config) fn journal(args: &BindArgs) -> Journal {
    match &args.journal {
        _ if args.no_journal => Journal::Off,
        Some(path) => Journal::Named(path.clone()),
        None => Journal::Unnamed,
    }
}

/// Whether nobody but a worker gets the master's keys.
fn shares_safely(security: &MasterSecurity) -> std::result::Result<(), Fault> {
    let own = "or let each worker have its own key in API_KEY";
    match &security.tls {
        _ if !security.share_secrets => Ok(()),
        None => Err(
            Fault::new("--share-secrets would send the keys in plain text")
                .hint(format!("give --tls-cert and --tls-key, {own}")),
        ),
        Some(tls) if security.token.is_none() && tls.client_ca.is_none() => Err(Fault::new(
            "--share-secrets would give the keys to anybody who connects",
        )
        .hint(format!("give --token-file or --tls-ca, {own}"))),
        Some(_) => Ok(()),
    }
}

/// Whether a master may listen where other machines reach it.
fn keeps_strangers_out(
    security: &MasterSecurity,
    bind: &Endpoint,
) -> std::result::Result<(), Fault> {
    let host = &bind.host;
    let fault = match (&security.tls, &security.token) {
        (Some(tls), token) if token.is_some() || tls.client_ca.is_some() => return Ok(()),
        (Some(_), _) => Fault::new(format!(
            "other machines may reach `{host}`, and nothing tells a worker from a stranger"
        ))
        .hint("--token-file asks workers for a token, --tls-ca for a certificate; --insecure lets anybody in"),
        (None, Some(_)) => Fault::new(format!(
            "workers would send their token to `{host}` in plain text"
        ))
        .hint("give --tls-cert and --tls-key (`llmload certs` makes them), or --insecure if nobody listens on that network"),
        (None, None) => Fault::new(format!(
            "other machines may reach `{host}`, in plain text and without a password"
        ))
        .hint("`llmload certs` makes what --tls-cert, --tls-key and --token-file take; or give --insecure if everybody on that network may direct this test, or listen on 127.0.0.1"),
    };
    Err(fault)
}

//! How the database is reached: its address from all that was said of it, TLS as libpq's `sslmode` means it. Errors hold no secret.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::client::TlsSettings;
use crate::config::Database;
use crate::domain::Secret;

/// The address and how to be sure of it.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// What no error may quote.
    secrets: Vec<Secret>,
}

/// A connection; it ends with this.
pub(super) struct Connection {
    pub(super) client: Client,
    _driving: JoinSet<()>,
}

/// How sure to be of whom one speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

impl Connector {
    /// Of what was said of the database. Reads the authority's file.
    pub(super) fn new(database: &Database, patience: Duration) -> anyhow::Result<Self> {
        let url = database
            .url
            .as_ref()
            .map_or("postgresql://", Secret::expose);
        let (url, own) = without_tls(url);
        let url = match database.port {
            Some(port) => with_port(&url, port),
            None => url,
        };
        let mut config: Config = url
            .parse()
            .context("the database's address cannot be read")?;
        fill(&mut config, database);
        let mode = own.mode.or_else(|| database.tls.clone());
        let authority = own
            .authority
            .map(Into::into)
            .or_else(|| database.authority.clone());
        let pem = authority
            .map(|path| {
                fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
            })
            .transpose()?;
        let mode = mode_of(mode.as_deref().unwrap_or("prefer"), pem.is_some())?;
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyFull => SslMode::Require,
        });
        config.application_name("llmload").connect_timeout(patience);
        let password = config
            .get_password()
            .map(|word| Secret::new(String::from_utf8_lossy(word)));
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls(mode == Mode::VerifyFull, pem.as_deref())?),
            secrets: password.into_iter().collect(),
        })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> anyhow::Result<Connection> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| self.clean(&error))?;
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            // Whoever uses the client is told of it.
            let _ended = connection.await;
        });
        Ok(Connection {
            client,
            _driving: driving,
        })
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let hosts: Vec<_> = hosts.collect();
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let name = self
            .config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or_default();
        format!("{}:{port}/{name}", hosts.join(","))
    }

    /// The user, for people.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    fn clean(&self, error: &tokio_postgres::Error) -> anyhow::Error {
        let words = crate::app::failure::chain(error);
        let words = self
            .secrets
            .iter()
            .fold(words, |words, secret| secret.masked_in(&words));
        anyhow!("{words}")
    }
}

/// What an address says of TLS.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    authority: Option<String>,
}

/// The address without what the library does not read, and that.
fn without_tls(url: &str) -> (String, Own) {
    let mut own = Own::default();
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), own);
    };
    let mut kept = Vec::new();
    for field in query.split('&') {
        match field.split_once('=') {
            Some(("sslmode", mode)) => own.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => own.authority = Some(path.replace("%2F", "/")),
            _ => kept.push(field),
        }
    }
    let url = if kept.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", kept.join("&"))
    };
    (url, own)
}

/// The address with `port` at each host that is named without one: the library would take 5432 there, libpq takes `PGPORT`.
fn with_port(url: &str, port: u16) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (place, more) = rest.split_at(end);
    let (user, hosts) = match place.rfind('@') {
        Some(at) => place.split_at(at + 1),
        None => ("", place),
    };
    if hosts.is_empty() || more.contains("port=") {
        return url.to_owned();
    }
    let hosts = hosts.split(',').map(|host| {
        let after_address = host.rsplit(']').next().unwrap_or(host);
        if after_address.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        }
    });
    let hosts: Vec<_> = hosts.collect();
    format!("{scheme}://{user}{}{more}", hosts.join(","))
}

/// What the address does not say, as libpq takes it from elsewhere.
fn fill(config: &mut Config, database: &Database) {
    if config.get_hosts().is_empty() {
        config.host(database.host.as_deref().unwrap_or("localhost"));
    }
    if let (true, Some(port)) = (config.get_ports().is_empty(), database.port) {
        config.port(port);
    }
    if config.get_user().is_none() {
        config.user(database.user.as_deref().unwrap_or("postgres"));
    }
    if let (None, Some(password)) = (config.get_password(), &database.password) {
        config.password(password.expose());
    }
    if let (None, Some(name)) = (config.get_dbname(), &database.name) {
        config.dbname(name);
    }
}

/// As libpq reads it: with an authority at hand `require` checks by it. Nothing checks less than its name says.
fn mode_of(name: &str, has_authority: bool) -> anyhow::Result<Mode> {
    Ok(match name {
        "disable" => Mode::Disable,
        "prefer" | "allow" => Mode::Prefer,
        "require" if !has_authority => Mode::Require,
        "require" | "verify-ca" | "verify-full" => Mode::VerifyFull,
        _ => bail!("sslmode `{name}` is none of disable, prefer, require and verify-full"),
    })
}

fn tls(is_checked: bool, pem: Option<&[u8]>) -> anyhow::Result<ClientConfig> {
    let Some(pem) = pem.filter(|_| is_checked) else {
        let settings = TlsSettings {
            insecure_skip_verify: !is_checked,
            ..TlsSettings::default()
        };
        let mut config = Arc::unwrap_or_clone(settings.config()?);
        config.alpn_protocols.clear();
        return Ok(config);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.context("sslrootcert cannot be read")?)?;
    }
    if roots.is_empty() {
        bail!("sslrootcert holds no certificate");
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn database(url: Option<&str>) -> Database {
        Database {
            url: url.map(Secret::new),
            host: Some("elsewhere".to_owned()),
            port: Some(7),
            user: Some("someone".to_owned()),
            password: Some(Secret::new("geheim")),
            name: Some("loads".to_owned()),
            tls: None,
            authority: None,
            schema: "llmload".to_owned(),
            spool: PathBuf::new(),
            spool_max: 1,
        }
    }

    #[test]
    fn an_address_is_filled_in_where_it_says_nothing() {
        let connector = |url| Connector::new(&database(url), Duration::from_secs(1)).unwrap();
        let all = connector(None);
        assert_eq!(
            (all.place().as_str(), all.user()),
            ("elsewhere:7/loads", "someone")
        );
        let some = connector(Some("postgresql://me@here/runs?sslmode=disable"));
        assert_eq!((some.place().as_str(), some.user()), ("here:7/runs", "me"));
        assert_eq!(some.config.get_password(), Some(&b"geheim"[..]));
        assert_eq!(some.config.get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn a_port_is_put_where_none_is() {
        for (url, wanted) in [
            ("postgresql://h/d", "postgresql://h:7/d"),
            ("postgresql://u:p:q@h", "postgresql://u:p:q@h:7"),
            ("postgresql://[::1],h:8?a=b", "postgresql://[::1]:7,h:8?a=b"),
            ("postgresql://u@/d", "postgresql://u@/d"),
            ("postgresql://h/d?port=9", "postgresql://h/d?port=9"),
        ] {
            assert_eq!(with_port(url, 7), wanted);
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_quoted() {
        for url in [
            "postgresql://u:geheim@h:x/d",
            "postgresql://u:geheim@h/d?nothing=geheim",
            "postgresql://u:geheim@h/d?connect_timeout=geheim",
        ] {
            let made = Connector::new(&database(Some(url)), Duration::from_secs(1));
            let error = format!("{:#}", made.err().unwrap());
            assert!(!error.contains("heim"), "{error}");
        }
    }

    #[test]
    fn modes_are_libpqs() {
        assert_eq!(mode_of("require", false).unwrap(), Mode::Require);
        assert_eq!(mode_of("require", true).unwrap(), Mode::VerifyFull);
        assert_eq!(mode_of("prefer", false).unwrap(), Mode::Prefer);
        assert!(mode_of("maybe", false).is_err());
    }
}

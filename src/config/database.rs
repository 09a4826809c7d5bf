//! Where rows of a run go: the options of the database, the variables that its own tools read, and what they come to. Nothing is
//! connected.

use std::path::PathBuf;

use clap::{Args, FromArgMatches};

use super::Surroundings;
use super::build::{Builder, Result};
use super::error::Fault;
use crate::database::schema_name;
use crate::domain::Secret;

/// Where the database is.
#[derive(Args)]
#[command(next_help_heading = "Database")]
#[expect(clippy::doc_markdown, reason = "help is plain text")]
pub(super) struct AddressArgs {
    /// Write rows to the PostgreSQL or TimescaleDB database there while the run goes on; the password better in PGPASSWORD
    #[arg(long, value_name = "URL")]
    pub pg_url: Option<String>,
    /// The database's host, or the folder of its socket, where no URL says it
    #[arg(long, value_name = "HOST")]
    pub pghost: Option<String>,
    /// Its port, likewise
    #[arg(long, value_name = "PORT")]
    pub pgport: Option<u16>,
    /// The user there
    #[arg(long, value_name = "NAME")]
    pub pguser: Option<String>,
    /// Their password; a command line can be seen by everybody on this machine: better PGPASSWORD
    #[arg(long, value_name = "PASSWORD")]
    pub pgpassword: Option<String>,
    /// The database's name
    #[arg(long, value_name = "NAME")]
    pub pgdatabase: Option<String>,
    /// Schema of the tables, which is made if it is not there
    #[arg(long, value_name = "NAME", default_value = "llmload")]
    pub pg_schema: String,
}

/// What `run`, `master` and `worker` share.
#[derive(Args)]
#[command(next_help_heading = "Database")]
pub(super) struct DatabaseArgs {
    #[command(flatten)]
    pub address: AddressArgs,
    /// Write rows to the database that --pghost and the like, or its own variables, name
    #[arg(long)]
    pub timescale: bool,
    /// Folder for rows that the database does not take in time
    #[arg(long, value_name = "DIR", default_value = "llmload-spool")]
    pub pg_spool: PathBuf,
    /// Most megabytes that wait there; rows beyond are dropped and counted
    #[arg(long, value_name = "MB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub pg_spool_max: u64,
}

/// A database, and how rows get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The whole address, if one was given: it may hold a password.
    pub url: Option<Secret>,
    /// Where an address does not say: the host, or the folder of the socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user; where none is named, who runs this.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The database's name.
    pub name: Option<String>,
    /// `sslmode`, as libpq names them.
    pub tls: Option<String>,
    /// The file of the authority that the server's certificate is checked by.
    pub authority: Option<PathBuf>,
    /// The schema of the tables.
    pub schema: String,
    /// The folder where rows wait.
    pub spool: PathBuf,
    /// Most bytes that wait there.
    pub spool_max: u64,
}

impl Builder<'_> {
    /// The database, if one is asked for: that a host or a user is known alone does not.
    pub(super) fn database(&self, args: DatabaseArgs) -> Result<Option<Database>> {
        if args.address.pg_url.is_none() && !args.timescale {
            return Ok(None);
        }
        let (id, read) = args.address.read(self.around);
        let (spool, spool_max) = (args.pg_spool, args.pg_spool_max.saturating_mul(1_000_000));
        let database = self.check(id, read)?;
        Ok(Some(Database {
            spool,
            spool_max,
            ..database
        }))
    }
}

impl AddressArgs {
    /// What they come to, or which of them is wrong.
    fn read(
        self,
        around: &dyn Surroundings,
    ) -> (&'static str, std::result::Result<Database, Fault>) {
        let url = match self.pg_url.as_deref().map(address).transpose() {
            Ok(url) => url,
            Err(fault) => return ("pg_url", Err(fault)),
        };
        if let Err(error) = schema_name(&self.pg_schema) {
            return ("pg_schema", Err(Fault::new(error.to_string())));
        }
        let variable = |name: &str| around.variable(name).filter(|value| !value.is_empty());
        let database = Database {
            url,
            host: self.pghost,
            port: self.pgport,
            user: self.pguser.or_else(|| variable("USER")),
            password: self.pgpassword.map(Secret::new),
            name: self.pgdatabase,
            tls: variable("PGSSLMODE"),
            authority: variable("PGSSLROOTCERT").map(PathBuf::from),
            schema: self.pg_schema,
            spool: PathBuf::new(),
            spool_max: 0,
        };
        ("pg_url", Ok(database))
    }
}

/// The address, if it is one of such a database. No error quotes it: it may hold a password.
fn address(text: &str) -> std::result::Result<Secret, Fault> {
    let is_fine = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if is_fine {
        return Ok(Secret::new(text));
    }
    let fault = Fault::new("the address does not begin with postgresql://".to_owned());
    Err(fault.hint("write --pg-url postgresql://USER@HOST:PORT/NAME"))
}

/// The variables of libpq, by option.
const VARIABLES: [(&str, &str); 5] = [
    ("pghost", "PGHOST"),
    ("pgport", "PGPORT"),
    ("pguser", "PGUSER"),
    ("pgpassword", "PGPASSWORD"),
    ("pgdatabase", "PGDATABASE"),
];

/// Whether `PostgreSQL`'s own variable sets option `id`.
pub(super) fn has_variable(id: &str) -> bool {
    VARIABLES.iter().any(|(option, _)| *option == id)
}

/// An address with a mask in place of its password.
pub(super) fn masked_url(url: &str) -> String {
    without_password(url, Some("***"))
}

/// An address with `mask` in place of its password, or without it.
fn without_password(url: &str, mask: Option<&str>) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    // The library takes all up to an @ before the path for credentials, a ? in them too; and a password may hold an @ that nobody
    // wrote as %40. What is after the last @ names the place.
    let begin = rest.rfind('@').map_or(0, |at| at + 1);
    let (user, place) = rest.split_at(begin);
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let user = user.strip_suffix('@');
    let base = match (user.map(|user| user.split_once(':').ok_or(user)), mask) {
        (Some(Ok((name, _))), Some(mask)) => format!("{name}:{mask}@{place}"),
        (Some(Ok((name, _)) | Err(name)), _) => format!("{name}@{place}"),
        (None, _) => place.to_owned(),
    };
    let fields = query.split('&').filter(|field| !field.is_empty());
    let fields: Vec<_> = fields
        .filter_map(|field| match field.split_once('=') {
            Some((name, _)) if name.contains("pass") => mask.map(|mask| format!("{name}={mask}")),
            _ => Some(field.to_owned()),
        })
        .collect();
    let query = if fields.is_empty() {
        String::new()
    } else {
        format!("?{}", fields.join("&"))
    };
    if scheme.is_empty() {
        return mask.unwrap_or_default().to_owned();
    }
    format!("{scheme}://{base}{query}")
}

impl Database {
    /// The address without its password, as somebody may give it again; `None` where there is none.
    pub fn bare_url(&self) -> Option<String> {
        let url = self.url.as_ref()?;
        Some(without_password(url.expose(), None))
    }

    /// Whether the way in needs a password that is not in the environment, but in the address or an option.
    pub fn has_password(&self) -> bool {
        let is_in_url = |url: &Secret| masked_url(url.expose()) != url.expose();
        self.password.is_some() || self.url.as_ref().is_some_and(is_in_url)
    }
}

/// `command` with the options that say where the database is, for who loads a spool: libpq's variables count there too.
pub fn database_options(command: clap::Command) -> clap::Command {
    AddressArgs::augment_args(command)
}

/// The database that such options name.
///
/// # Errors
///
/// Which option has a value that cannot be, without the value.
pub fn database_of(
    matches: &clap::ArgMatches,
    around: &dyn Surroundings,
) -> std::result::Result<Database, String> {
    let mut args = AddressArgs::from_arg_matches(matches).map_err(|error| error.to_string())?;
    let variable = |name: &str| around.variable(name).filter(|value| !value.is_empty());
    args.pghost = args.pghost.or_else(|| variable("PGHOST"));
    if let (None, Some(port)) = (args.pgport, variable("PGPORT")) {
        let number = port.parse();
        args.pgport = Some(number.map_err(|_| format!("PGPORT: `{port}` is no port"))?);
    }
    args.pguser = args.pguser.or_else(|| variable("PGUSER"));
    args.pgpassword = args.pgpassword.or_else(|| variable("PGPASSWORD"));
    args.pgdatabase = args.pgdatabase.or_else(|| variable("PGDATABASE"));
    let (id, read) = args.read(around);
    read.map_err(|fault| format!("--{}: {}", id.replace('_', "-"), fault.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgresql://u:geheim@h:1/d?sslmode=require",
                "postgresql://u:***@h:1/d?sslmode=require",
            ),
            ("postgres://u:a@b:c@h/d", "postgres://u:***@h/d"),
            ("postgresql://u@h/d", "postgresql://u@h/d"),
            (
                "postgresql://u:ge?heim@h/d?sslmode=require",
                "postgresql://u:***@h/d?sslmode=require",
            ),
            ("postgresql://u:g?e@heim@h/d", "postgresql://u:***@h/d"),
            ("postgresql://h:5432/d", "postgresql://h:5432/d"),
            (
                "postgresql:///d?host=/s&password=geheim",
                "postgresql:///d?host=/s&password=***",
            ),
            ("geheim", "***"),
        ] {
            assert_eq!(masked_url(url), shown);
            let bare = without_password(url, None);
            assert!(!bare.contains("geheim") && !bare.contains("***"), "{bare}");
        }
        let bare = without_password("postgresql://u:a@h/d?password=b&sslmode=require", None);
        assert_eq!(bare, "postgresql://u@h/d?sslmode=require");
    }

    #[test]
    fn another_address_is_refused_and_not_quoted() {
        let error = address("mysql://u:geheim@h").unwrap_err();
        assert!(!format!("{error:?}").contains("geheim"));
        assert!(address("postgres://h").is_ok());
    }
}

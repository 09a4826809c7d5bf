//! `llmload certs`: what a cluster beyond one machine needs, made at once: an authority, certificates, a token.
//! The authority's key is not kept, so nobody can ever make more certificates of it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::console::Console;
use super::failure::{Failure, status};
use super::surroundings::{host_name, wall_clock};

/// Names that every machine has for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Clocks may be so far apart.
const CLOCKS_DIFFER: Duration = Duration::from_secs(86_400);

const DAY: Duration = Duration::from_secs(86_400);

/// Bytes of a token, before they are written in hexadecimal.
const TOKEN_BYTES: usize = 32;

/// Options of `certs`.
#[derive(Clone, Debug, Args)]
pub(super) struct CertsArgs {
    /// Folder to make the files in
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Names and addresses by which workers reach the master, with commas or repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    host: Vec<String>,
    /// Days for which the certificates are good
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Leave all files as they are when none is missing: for what is started again and again
    #[arg(long, conflicts_with = "force")]
    keep: bool,
}

/// The names of all that [`make`] makes.
const FILES: [&str; 6] = [
    "ca.pem",
    "master.pem",
    "master.key",
    "worker.pem",
    "worker.key",
    "token",
];

/// A file to write.
struct File {
    name: &'static str,
    content: String,
    /// For nobody else's eyes.
    private: bool,
}

/// Makes the files and says how to use them.
pub(super) fn certs(args: &CertsArgs) -> Result<u8, Failure> {
    let now = OffsetDateTime::from(wall_clock());
    let names = names(&args.host)?;
    if args.keep && FILES.iter().all(|name| args.dir.join(name).is_file()) {
        Console::default().print(&format!(
            "kept in {}: {}\n",
            args.dir.display(),
            FILES.join(", ")
        ));
        return Ok(status::OK);
    }
    let made = make(&names, now, args.days)
        .context("cannot make the certificates")
        .map_err(Failure::usage)?;
    if !args.force {
        refuse_existing(&args.dir, &made)?;
    }
    write_all(&args.dir, &made, args.force)
        .with_context(|| format!("cannot write into `{}`", args.dir.display()))
        .map_err(Failure::failed)?;
    Console::default().print(&words(args, &names, now + DAY * args.days));
    Ok(status::OK)
}

/// All names of the master: its own and those that were given.
fn names(given: &[String]) -> Result<Vec<String>, Failure> {
    let given = given
        .iter()
        .map(|name| name.trim().trim_matches(['[', ']']));
    let mut names: Vec<String> = OWN_NAMES.map(str::to_owned).into();
    let own = host_name().filter(|name| names_a_machine(name));
    for name in given.map(str::to_owned).chain(own) {
        if name.is_empty() || !names_a_machine(&name) {
            return Err(Failure::usage(anyhow!("`{name}` is no name of a machine"))
                .hint("write --host master.example,192.0.2.7"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A name of letters, digits, dots and dashes, or an address.
fn names_a_machine(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
        || name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_*".contains(&byte))
}

fn make(names: &[String], now: OffsetDateTime, days: u32) -> anyhow::Result<[File; 6]> {
    let valid = |mut params: CertificateParams, name: &str| {
        params.not_before = now - CLOCKS_DIFFER;
        params.not_after = now + DAY * days;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    // Authorities of one name would be mistaken for each other.
    let number = getrandom::u32().map_err(|error| anyhow!("no randomness: {error}"))?;
    let name = format!("llmload cluster authority {number:08x}");
    let mut authority = valid(CertificateParams::default(), &name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let leaf = |names: &[String], name: &str, usage| -> Result<_, rcgen::Error> {
        let mut params = valid(CertificateParams::new(names)?, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    let (master, master_key) = leaf(names, "llmload master", ExtendedKeyUsagePurpose::ServerAuth)?;
    let (worker, worker_key) = leaf(&[], "llmload worker", ExtendedKeyUsagePurpose::ClientAuth)?;
    let file = |name, content, private| File {
        name,
        content,
        private,
    };
    Ok([
        file("ca.pem", authority_pem, false),
        file("master.pem", master, false),
        file("master.key", master_key, true),
        file("worker.pem", worker, false),
        file("worker.key", worker_key, true),
        file("token", token()?, true),
    ])
}

fn token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    let (high, low) = bytes.split_at(TOKEN_BYTES / 2);
    let half = |bytes: &[u8]| bytes.try_into().map(u128::from_be_bytes);
    Ok(format!("{:032x}{:032x}\n", half(high)?, half(low)?))
}

fn refuse_existing(dir: &Path, files: &[File]) -> Result<(), Failure> {
    let there = files
        .iter()
        .map(|file| dir.join(file.name))
        .find(|path| path.symlink_metadata().is_ok());
    match there {
        None => Ok(()),
        Some(path) => Err(
            Failure::usage(anyhow!("`{}` is there already", path.display()))
                .hint("--dir takes another folder, --force replaces all of the files"),
        ),
    }
}

fn write_all(dir: &Path, files: &[File], replace: bool) -> io::Result<()> {
    folder().create(dir)?;
    for file in files {
        let path = dir.join(file.name);
        if replace {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) | Ok(()) => {}
            }
        }
        // New, so that its mode is this one and no link is followed.
        let mut written = mode(file.private).create_new(true).write(true).open(path)?;
        written.write_all(file.content.as_bytes())?;
        written.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn folder() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

#[cfg(unix)]
fn mode(private: bool) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(if private { 0o600 } else { 0o644 });
    options
}

#[cfg(not(unix))]
fn folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    builder
}

#[cfg(not(unix))]
fn mode(_: bool) -> OpenOptions {
    OpenOptions::new()
}

/// What was made, and the two command lines that use it.
fn words(args: &CertsArgs, names: &[String], until: OffsetDateTime) -> String {
    let dir = args.dir.display();
    let reach = args.host.first().map_or("localhost", String::as_str);
    let reach = if reach.contains(':') && !reach.starts_with('[') {
        format!("[{reach}]")
    } else {
        reach.to_owned()
    };
    format!(
        "made in {dir}: ca.pem, master.pem, master.key, worker.pem, worker.key, token\n\
         good until {}, for a master reached as {}\n\
         \n\
         the master:\n  llmload master --master-bind-host 0.0.0.0 --tls-cert {dir}/master.pem --tls-key {dir}/master.key --token-file {dir}/token -H URL ...\n\
         a worker, with copies of ca.pem and token:\n  llmload worker --master {reach}:5557 --tls-ca {dir}/ca.pem --token-file {dir}/token\n\
         \n\
         with certificates for workers instead of the token, or beside it: --tls-ca {dir}/ca.pem for the master,\n  --tls-cert {dir}/worker.pem --tls-key {dir}/worker.key for each worker\n",
        until.date(),
        names.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClientSecurity, ClientTlsParts, ServerSecurity};
    use crate::config;
    use crate::domain::Secret;

    fn args(dir: PathBuf) -> CertsArgs {
        CertsArgs {
            dir,
            host: vec!["master.example".to_owned(), "[2001:db8::7]".to_owned()],
            days: 365,
            force: false,
            keep: false,
        }
    }

    fn content(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn what_is_made_fits_together_and_keeps_its_secrets() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("deep/certs");
        certs(&args(dir.clone())).unwrap();
        let [ca, master, worker] = ["ca.pem", "master.pem", "worker.pem"].map(|n| content(&dir, n));
        let [master_key, worker_key] =
            ["master.key", "worker.key"].map(|name| Secret::new(content(&dir, name)));
        let server = ServerSecurity::default();
        server.with_tls(&master, &master_key, Some(&ca)).unwrap();
        let parts = ClientTlsParts {
            ca: Some(ca),
            identity: Some((worker, worker_key)),
            server_name: None,
        };
        ClientSecurity::default().with_tls(&parts).unwrap();
        let token = config::token(&content(&dir, "token")).unwrap();
        assert_eq!(token.expose().len(), 2 * TOKEN_BYTES);
        assert!(!dir.join("ca.key").exists());
    }

    #[test]
    #[cfg(unix)]
    fn keys_and_token_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        certs(&args(place.path().to_owned())).unwrap();
        for name in ["master.key", "worker.key", "token"] {
            let mode = fs::metadata(place.path().join(name)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn files_that_are_there_are_kept_without_force_and_all_replaced_with_it() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().to_owned();
        fs::write(dir.join("token"), "mine").unwrap();
        let failure = certs(&args(dir.clone())).unwrap_err();
        assert_eq!(failure.status, 2);
        assert!(failure.hint.is_some());
        assert_eq!(content(&dir, "token"), "mine");
        assert!(!dir.join("ca.pem").exists());
        let forced = CertsArgs {
            force: true,
            ..args(dir.clone())
        };
        certs(&forced).unwrap();
        let first = content(&dir, "token");
        assert_ne!(first, "mine");
        certs(&forced).unwrap();
        assert_ne!(content(&dir, "token"), first);
    }

    #[test]
    fn what_is_whole_is_kept_and_what_is_not_is_no_reason_to_overwrite_anything() {
        let place = tempfile::tempdir().unwrap();
        let keeping = CertsArgs {
            keep: true,
            ..args(place.path().to_owned())
        };
        certs(&keeping).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), FILES.len());
        let first = FILES.map(|name| content(place.path(), name));
        certs(&keeping).unwrap();
        assert_eq!(FILES.map(|name| content(place.path(), name)), first);
        fs::remove_file(place.path().join("ca.pem")).unwrap();
        assert_eq!(certs(&keeping).unwrap_err().status, 2);
        assert_eq!(content(place.path(), "token"), first[5]);
    }

    #[test]
    fn a_name_that_no_machine_has_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let wrong = CertsArgs {
            host: vec!["two words".to_owned()],
            ..args(place.path().to_owned())
        };
        assert_eq!(certs(&wrong).unwrap_err().status, 2);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}

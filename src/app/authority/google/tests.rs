//! Where credentials are looked for, what is said of those that are none, and that nothing shows them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::credentials::{CredentialError, Credentials, Kind};

const USER: &str = r#"{"type":"authorized_user","client_id":"id","client_secret":"hunter-2-secret",
    "refresh_token":"1//refresh-secret","quota_project_id":"payer"}"#;

fn find(
    variables: &[(&str, &Path)],
    is_here: bool,
) -> Result<Option<Credentials>, CredentialError> {
    let variables: BTreeMap<&str, String> = variables
        .iter()
        .map(|(name, value)| (*name, value.display().to_string()))
        .collect();
    Credentials::find(&|name| variables.get(name).cloned(), is_here)
}

fn file(folder: &TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn host(found: Result<Option<Credentials>, CredentialError>) -> String {
    match found.unwrap().unwrap().kind {
        Kind::Metadata { host, .. } => host,
        _ => "a file".to_owned(),
    }
}

#[test]
fn a_named_file_stands_before_gclouds_and_that_before_the_machine() {
    let home = TempDir::new().unwrap();
    let named = file(&home, "named.json", &USER.replace("payer", "named"));
    let metadata = ("GCE_METADATA_HOST", Path::new("127.0.0.1:1"));
    let all = [
        ("GOOGLE_APPLICATION_CREDENTIALS", named.as_path()),
        ("HOME", home.path()),
        metadata,
    ];
    assert_eq!(host(find(&all[1..], false)), "127.0.0.1:1");
    file(
        &home,
        ".config/gcloud/application_default_credentials.json",
        USER,
    );
    let payer = |found: Result<Option<Credentials>, _>| found.unwrap().unwrap().quota_project;
    assert_eq!(payer(find(&all, false)).as_deref(), Some("named"));
    assert_eq!(payer(find(&all[1..], false)).as_deref(), Some("payer"));
    let other = TempDir::new().unwrap();
    let moved = [("CLOUDSDK_CONFIG", other.path()), all[1], all[2]];
    assert_eq!(host(find(&moved, false)), "127.0.0.1:1");
    let quota = [all[0], ("GOOGLE_CLOUD_QUOTA_PROJECT", Path::new("mine"))];
    assert_eq!(payer(find(&quota, false)).as_deref(), Some("mine"));
    assert_eq!(host(find(&[], false)), "metadata.google.internal");
}

#[test]
fn a_server_on_this_machine_gets_only_what_the_environment_names() {
    let home = TempDir::new().unwrap();
    file(
        &home,
        ".config/gcloud/application_default_credentials.json",
        USER,
    );
    let here = [("HOME", home.path())];
    assert!(find(&here, true).unwrap().is_none());
    assert!(find(&here, false).unwrap().is_some());
    let folder = home.path().join(".config/gcloud");
    assert!(
        find(&[("CLOUDSDK_CONFIG", &folder)], true)
            .unwrap()
            .is_some()
    );
}

#[test]
fn without_any_credentials_every_place_is_named() {
    let none = find(
        &[
            ("NO_GCE_CHECK", Path::new("true")),
            ("HOME", Path::new("/h")),
        ],
        false,
    );
    assert_eq!(
        none.unwrap_err().to_string(),
        "no credentials for Google Cloud: there is neither GCLOUD_ACCESS_TOKEN nor GOOGLE_APPLICATION_CREDENTIALS nor \
         `/h/.config/gcloud/application_default_credentials.json`, and no metadata server"
    );
}

#[test]
fn what_is_no_credentials_is_said_without_showing_it() {
    let home = TempDir::new().unwrap();
    for (text, words) in [
        ("hunter-2-secret", "unreadable JSON at line 1"),
        (
            r#"{"type":"external_account"}"#,
            "`external_account`, which cannot be used here",
        ),
        (
            r#"{"type":"authorized_user","client_id":"i","client_secret":"hunter-2-secret"}"#,
            "it has no `refresh_token`",
        ),
        (
            r#"{"type":"service_account","private_key":"x"}"#,
            "it has no `client_email`",
        ),
        (
            r#"{"type":"service_account","client_email":"a@b","private_key":"hunter-2-secret"}"#,
            "its `private_key` is none",
        ),
    ] {
        let path = file(&home, "c.json", text);
        let found = find(&[("GOOGLE_APPLICATION_CREDENTIALS", &path)], false);
        let error = found.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    let absent = home.path().join("absent.json");
    let found = find(&[("GOOGLE_APPLICATION_CREDENTIALS", &absent)], false);
    assert!(found.unwrap_err().to_string().starts_with("cannot read"));
}

#[test]
fn credentials_do_not_show_what_they_hold() {
    let home = TempDir::new().unwrap();
    let path = file(&home, "c.json", USER);
    let found = find(&[("GOOGLE_APPLICATION_CREDENTIALS", &path)], false).unwrap();
    let shown = format!("{found:?}");
    assert!(
        !shown.contains("secret") && shown.contains("user"),
        "{shown}"
    );
}

#[test]
fn litellms_variable_names_a_file_or_holds_one() {
    let home = TempDir::new().unwrap();
    let named = file(&home, "named.json", &USER.replace("payer", "named"));
    let payer = |value: &Path| {
        let found = find(&[("VERTEXAI_CREDENTIALS", value)], true);
        found.unwrap().unwrap().quota_project
    };
    assert_eq!(payer(&named).as_deref(), Some("named"));
    assert_eq!(payer(Path::new(USER)).as_deref(), Some("payer"));
}

#[test]
fn secrets_go_to_no_server_of_tokens_in_plain_text_but_to_this_machine() {
    let with = |uri: &str| {
        let text = USER.replace("\"type\"", &format!("\"token_uri\":\"{uri}\",\"type\""));
        find(&[("VERTEXAI_CREDENTIALS", Path::new(&text))], true)
    };
    for uri in [
        "https://sts.example/token",
        "http://127.0.0.1:1/t",
        "http://[::1]:1/t",
        "http://localhost/t",
    ] {
        assert!(with(uri).is_ok(), "{uri}");
    }
    for uri in [
        "http://sts.example/token",
        "http://127.0.0.1.example/t",
        "ftp://x/",
        "no address",
    ] {
        let words = with(uri).unwrap_err().to_string();
        assert!(words.contains("`token_uri`"), "{uri}: {words}");
    }
}

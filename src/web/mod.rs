//! What the web page and its API are made of: a run's standing and its steps as JSON, the page itself, the description of the
//! API. It serves nothing: requests, tokens and connections are the app's.

mod standing;
mod steps;

pub use standing::{Seen, shown, standing};
pub use steps::{columns, looks, steps};

/// The page's HTML: it names its script and its style, and holds no text of a run.
pub const PAGE: &str = include_str!("page.html");
/// Its script.
pub const SCRIPT: &str = include_str!("built/live.js");
/// Its style.
pub const STYLE: &str = include_str!("built/live.css");
/// The licences of what is in the script.
pub const NOTICES: &str = include_str!("built/notices.txt");
/// The API, as `OpenAPI` 3.1 describes it.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The Content-Security-Policy of the page: its own script and style, and its own API.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests;

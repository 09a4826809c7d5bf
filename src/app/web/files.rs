//! Downloads: the files of one run by their names, and no others. A name is looked up in a list and never becomes a path.

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::api::{Desk, Refused};
use super::documents::RECORDS;

/// Read and sent at a time.
const PIECE: usize = 64 * 1024;

/// `GET /api/runs/{run}/files/{name}`; with `?show` a browser shows the file instead of keeping it.
pub(super) async fn file(
    State(desk): State<Desk>,
    Path((id, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let run = desk.run(&id)?;
    let missing = || {
        Refused::new(StatusCode::NOT_FOUND, "the run has no such file")
            .hint("GET /api/runs/RUN/files lists them; most are there when it is over")
    };
    let body = if name == RECORDS.0 {
        let path = run.records().ok_or_else(missing)?;
        let file = File::open(&path).await.map_err(|error| {
            let words = format!("the file cannot be read: {error}");
            Refused::new(StatusCode::NOT_FOUND, words)
        })?;
        streamed(file)
    } else {
        // Drawing a report takes a while, and the page goes on meanwhile.
        let wanted = name.clone();
        let drawn = tokio::task::spawn_blocking(move || run.file(&wanted)).await;
        Body::from(drawn.ok().flatten().ok_or_else(missing)?)
    };
    let is_shown = query.as_deref() == Some("show");
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(&name)));
    if !is_shown {
        let disposition = format!("attachment; filename=\"llmload-{id}-{name}\"");
        let disposition = HeaderValue::try_from(disposition).map_err(|_| missing())?;
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    if kind(&name).starts_with("text/html") {
        // It says itself what it may do; here it may besides not be anything to the page that it was opened from.
        let alone = HeaderValue::from_static("sandbox allow-scripts allow-downloads");
        headers.insert(CONTENT_SECURITY_POLICY, alone);
    }
    Ok(response)
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv") => "text/csv; charset=utf-8",
        Some("json") => "application/json",
        Some("jsonl") => "application/jsonl",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn streamed(file: File) -> Body {
    Body::from_stream(stream::unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(piece)), file)),
            Err(error) => Some((Err(error), file)),
        }
    }))
}

//! Where the workers of a master come: of one run, or of a series of them. Who is let in is decided elsewhere.

use std::io;
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;

use super::failure::Failure;
use crate::config::Endpoint;

/// Where the workers of several runs come, one run after another: opened by the first one, and closed with the last. While none
/// is under way, who comes waits in the system's queue.
#[derive(Debug, Default)]
pub(super) struct Door(OnceLock<std::net::TcpListener>);

impl Door {
    /// The door, for one run; `bind` says where it is, the first time.
    pub(super) async fn listener(&self, bind: &Endpoint) -> Result<TcpListener, Failure> {
        let open = match self.0.get() {
            Some(open) => open,
            None => {
                let first = listen(bind).await?.into_std().map_err(unkept)?;
                self.0.get_or_init(|| first)
            }
        };
        let again = open.try_clone().and_then(TcpListener::from_std);
        again.map_err(unkept)
    }
}

fn unkept(error: io::Error) -> Failure {
    Failure::failed(anyhow!(error).context("cannot keep the port open"))
}

async fn listen(bind: &Endpoint) -> Result<TcpListener, Failure> {
    TcpListener::bind((bind.host.as_str(), bind.port))
        .await
        .with_context(|| format!("cannot listen on {bind}"))
        .map_err(|error| {
            Failure::usage(error)
                .hint("is another master running? --master-bind-port takes another port")
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_comes_between_two_runs_is_let_in_by_the_next_at_the_same_place() {
        let (door, anywhere) = (
            Door::default(),
            Endpoint {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
        );
        let first = door.listener(&anywhere).await.unwrap();
        let place = first.local_addr().unwrap();
        let _met = (
            TcpStream::connect(place).await.unwrap(),
            first.accept().await.unwrap(),
        );
        drop(first);
        let between = TcpStream::connect(place).await.unwrap();
        let second = door.listener(&anywhere).await.unwrap();
        assert_eq!(second.local_addr().unwrap(), place);
        let came = tokio::time::timeout(Duration::from_secs(10), second.accept()).await;
        assert_eq!(came.unwrap().unwrap().1, between.local_addr().unwrap());
        drop((door, second));
        assert!(
            TcpStream::connect(place).await.is_err(),
            "closed with the last"
        );
    }
}

//! How long to go on trying. As long as the run goes on there is no limit; from its end on there is one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::trouble::Trouble;

/// How patient the logging is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the run's end, with a server that has answered before.
    pub total: Duration,
    /// From the run's end, with a server that has never answered.
    pub silent: Duration,
    /// Until one try of a call has its answer.
    pub call: Duration,
    /// Before the second try; doubled with each further one, up to `LONGEST_PAUSE`.
    pub first_pause: Duration,
}

/// No pause of our own is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Longer than any run, and near enough for every platform's clock: what a server or an option asks for beyond it is this.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 86_400);
/// Doublings after which a pause is at its longest in any case.
const DOUBLINGS: u32 = 10;

impl Limits {
    /// `total` (at most a month) after the run's end, and at most ten seconds for a server that nobody has heard of.
    pub fn new(total: Duration) -> Self {
        Self {
            total: total.min(LONGEST_WAIT),
            silent: total.min(Duration::from_secs(10)),
            call: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
        }
    }

    /// The pause after so many tries of one call.
    fn pause(&self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(DOUBLINGS);
        (self.first_pause * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }
}

/// The time that is left.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Limits,
    /// When the run ended, once it has.
    ended: watch::Receiver<Option<Instant>>,
    heard: bool,
}

impl Patience {
    pub(super) const fn new(limits: Limits, ended: watch::Receiver<Option<Instant>>) -> Self {
        Self {
            limits,
            ended,
            heard: false,
        }
    }

    /// Limit of one try.
    pub(super) const fn call(&self) -> Duration {
        self.limits.call
    }

    /// The server has answered, whatever it said.
    pub(super) const fn heard(&mut self) {
        self.heard = true;
    }

    /// Whether the run has not ended yet.
    pub(super) fn run_goes_on(&self) -> bool {
        self.ended.borrow().is_none()
    }

    fn limit(&self, ended: Instant) -> Instant {
        ended
            + if self.heard {
                self.limits.total
            } else {
                self.limits.silent
            }
    }

    /// Returns when no time is left.
    pub(super) async fn over(&self) {
        let mut ended = self.ended.clone();
        loop {
            let known = *ended.borrow_and_update();
            match known {
                Some(at) => return sleep_until(self.limit(at)).await,
                // Nobody is left to tell the end: then nobody waits for it either.
                None if ended.changed().await.is_err() => return,
                None => {}
            }
        }
    }

    /// Waits until a call that was tried so many times may be tried again. The run's end cuts a pause short that the server
    /// has not asked for, and gives up one that would end too late.
    ///
    /// # Errors
    /// `trouble`, when no time is left.
    pub(super) async fn pause(&self, tries: u32, trouble: Trouble) -> Result<(), Trouble> {
        let wait = trouble
            .retry_after()
            .unwrap_or_else(|| self.limits.pause(tries));
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut ended = self.ended.clone();
        loop {
            let known = *ended.borrow_and_update();
            if known.is_some_and(|at| until > self.limit(at)) {
                return Err(trouble);
            }
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                told = ended.changed(), if known.is_none() => {
                    if told.is_err() || trouble.retry_after().is_none() {
                        return Ok(());
                    }
                }
                () = self.over() => return Err(trouble),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::time::sleep;

    use super::*;

    fn limits() -> Limits {
        Limits::new(Duration::from_mins(1))
    }

    fn trouble(retry_after: Option<&str>) -> Trouble {
        Trouble::refused(StatusCode::SERVICE_UNAVAILABLE, retry_after, b"")
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..8)
            .map(|tries| limits().pause(tries).as_millis())
            .collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        assert_eq!(limits().pause(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_over_while_the_run_goes_on_and_a_minute_later_it_is() {
        let (sender, ended) = watch::channel(None);
        let mut patience = Patience::new(limits(), ended);
        patience.heard();
        let start = Instant::now();
        for tries in 1..50 {
            patience.pause(tries, trouble(None)).await.unwrap();
        }
        assert!(start.elapsed() > Duration::from_secs(600));
        let end = Instant::now();
        sender.send(Some(end)).unwrap();
        patience.over().await;
        assert_eq!(end.elapsed().as_secs(), 60);
        assert_eq!(patience.pause(1, trouble(None)).await, Err(trouble(None)));
        assert_eq!(end.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answered_is_given_ten_seconds() {
        let (sender, ended) = watch::channel(None);
        let patience = Patience::new(limits(), ended);
        let end = Instant::now();
        sender.send(Some(end)).unwrap();
        patience.over().await;
        assert_eq!(end.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_cuts_a_pause_short_that_the_server_did_not_ask_for() {
        for (asked, waited) in [(None, 3), (Some("12"), 12)] {
            let (sender, ended) = watch::channel(None);
            let mut patience = Patience::new(limits(), ended);
            patience.heard();
            let start = Instant::now();
            let end = async {
                sleep(Duration::from_secs(3)).await;
                sender.send(Some(Instant::now())).unwrap();
            };
            let (paused, ()) = tokio::join!(patience.pause(9, trouble(asked)), end);
            paused.unwrap();
            assert_eq!(start.elapsed().as_secs(), waited);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_turns_out_to_end_too_late_is_given_up_when_the_run_ends() {
        let (sender, ended) = watch::channel(None);
        let mut patience = Patience::new(limits(), ended);
        patience.heard();
        let start = Instant::now();
        let end = async {
            sleep(Duration::from_secs(3)).await;
            sender.send(Some(Instant::now())).unwrap();
        };
        let long = trouble(Some("600"));
        let (paused, ()) = tokio::join!(patience.pause(1, long.clone()), end);
        assert_eq!(paused, Err(long));
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_is_too_long_for_the_clock() {
        let endless = Duration::from_secs_f64(1e19);
        let (sender, ended) = watch::channel(None);
        let mut patience = Patience::new(Limits::new(endless), ended);
        patience.heard();
        let longest = trouble(Some(&u64::MAX.to_string()));
        let end = async {
            sleep(Duration::from_secs(3)).await;
            sender.send(Some(Instant::now())).unwrap();
        };
        let start = Instant::now();
        let (paused, ()) = tokio::join!(patience.pause(1, longest.clone()), end);
        assert_eq!(paused, Ok(()));
        assert_eq!(start.elapsed().as_secs(), LONGEST_WAIT.as_secs());
        patience.over().await;
        assert_eq!(start.elapsed().as_secs(), LONGEST_WAIT.as_secs() + 3);
        assert_eq!(patience.pause(1, longest.clone()).await, Err(longest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_end_is_not_begun() {
        let (_sender, ended) = watch::channel(Some(Instant::now()));
        let mut patience = Patience::new(limits(), ended);
        patience.heard();
        let start = Instant::now();
        let long = trouble(Some("61"));
        assert_eq!(patience.pause(1, long.clone()).await, Err(long));
        assert_eq!(start.elapsed().as_secs(), 0);
    }
}

//! What a person says to a run while it goes on: signals and keys become orders to its master, and the master's answers
//! words. It decides how often one must ask to be rid of a run, and nothing about the load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::changes::reported;
use super::keys::{Key, Keyboard};
use super::signals::Signal;
use super::terminal::Glass;
use crate::cluster::{Change, Coming, MasterCommand, MasterEvent, Refusal};
use crate::domain::{Offset, Rate};
use crate::schedule::{Load, Spec};
use crate::tui::Glance;

/// Orders that may wait for the master; signals find a place whatever keys are pressed.
pub(super) const ORDERS: usize = 64;
const KEPT_FOR_SIGNALS: usize = 8;

const KEYS: &str = "keys: w/W one or ten users more, s/S fewer, p pauses, q stops, ? says all keys";
const KEYS_OPEN: &str =
    "keys: r/R one request/s or 10% more, f/F less, p pauses, q stops, ? says all keys";

/// All keys, line by line.
const ALL_KEYS: [&str; 5] = [
    "w one user more, W ten more; s one fewer, S ten fewer (with --qps: requests in flight)",
    "r one request/s more, R 10% more; f one less, F 10% less (with --qps)",
    "p pauses the run, and resumes it",
    "q stops it: requests in flight are waited for; a second q drops them",
    "h or ? says the keys",
];

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Something to tell the person.
    Words(Vec<String>),
    /// The program is to end at once with this status.
    Leave(u8),
}

type Answer = oneshot::Receiver<Result<Coming, Refusal>>;

/// The person's end of a run.
pub(super) struct Conductor {
    orders: mpsc::Sender<MasterCommand>,
    signals: mpsc::Receiver<Signal>,
    keyboard: Option<Keyboard>,
    answers: VecDeque<Answer>,
    last_signal: Option<Signal>,
    /// How often the run was told to end.
    stops: u8,
    /// What was announced last, and what is wished beyond that.
    announced: Load,
    wanted: Load,
    plan: Box<Spec>,
    /// When the run began, as far as this person saw it.
    begun: Option<Instant>,
}

impl Conductor {
    /// Of a run by `plan` that begins, or goes on, with `load`.
    pub(super) fn new(
        orders: mpsc::Sender<MasterCommand>,
        signals: mpsc::Receiver<Signal>,
        plan: &Spec,
        load: Load,
    ) -> Self {
        Self {
            orders,
            signals,
            keyboard: Keyboard::open(),
            answers: VecDeque::new(),
            last_signal: None,
            stops: 0,
            announced: load,
            wanted: load,
            plan: Box::new(plan.clone()),
            begun: None,
        }
    }

    /// The run is shown on the terminal that the keys come from.
    pub(super) fn show_on(&mut self, glass: Option<Arc<Glass>>) {
        if let Some(keyboard) = self.keyboard.as_mut().filter(|_| glass.is_some()) {
            keyboard.show_on(glass);
        }
    }

    fn is_shown(&self) -> bool {
        let glass = self.keyboard.as_ref().and_then(Keyboard::glass);
        glass.is_some_and(Glass::is_up)
    }

    /// Whether the run's view showed what a key asks for.
    fn look(&self, glance: Glance) -> bool {
        let glass = self.keyboard.as_ref().and_then(Keyboard::glass);
        glass.is_some_and(|glass| glass.turn(glance))
    }

    /// What is said next. Safe to cancel.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            let said = tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => self.heed(signal),
                answer = answered(&mut self.answers) => self.worded(answer),
                key = pressed(&mut self.keyboard) => self.press(key),
            };
            if let Some(said) = said {
                return said;
            }
        }
    }

    /// Takes note of what the run says, whoever asked for it.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        match *event {
            MasterEvent::Starting { .. } => self.begun = Some(Instant::now()),
            // Of a run that another master began, the first second that is heard of says when.
            MasterEvent::Merged { to, .. } if self.begun.is_none() => {
                self.begun = Instant::now().checked_sub(to.since(Offset::ZERO));
            }
            MasterEvent::Changed { load, .. } => {
                self.announced = load;
                if self.answers.is_empty() {
                    self.wanted = load;
                }
            }
            MasterEvent::Stopping { abort } => self.stops = self.stops.max(1 + u8::from(abort)),
            _ => {}
        }
    }

    /// The terminal is the shell's again: there is nothing left to conduct.
    pub(super) fn hush(&mut self) {
        self.keyboard = None;
    }

    /// The same, for a run that nobody conducts.
    pub(super) fn hush_if(&mut self, is_quiet: bool) {
        if is_quiet {
            self.hush();
        }
    }

    /// A signal, once nothing else is waited for.
    pub(super) async fn signal(&mut self) -> Option<Signal> {
        let signal = self.signals.recv().await;
        self.last_signal = signal.or(self.last_signal);
        signal
    }

    pub(super) const fn last_signal(&self) -> Option<Signal> {
        self.last_signal
    }

    /// The first signal drains, the second drops what is in flight, the third ends the program.
    fn heed(&mut self, signal: Signal) -> Option<Said> {
        self.last_signal = Some(signal);
        if self.stops >= 2 {
            return Some(Said::Leave(signal.exit_status()));
        }
        self.end();
        None
    }

    /// Ends the run for whoever shows it: at the second call at once.
    pub(super) fn end_for(&mut self) {
        if self.stops < 2 {
            self.end();
        }
    }

    fn end(&mut self) {
        let order = if self.stops == 0 {
            MasterCommand::Stop
        } else {
            MasterCommand::Abort
        };
        self.stops += 1;
        // A closed channel means that the run is over: its result is on the way.
        let _over = self.orders.try_send(order);
    }

    fn press(&mut self, key: Key) -> Option<Said> {
        let is_open = self.plan.has_rate();
        match key {
            Key::Look(glance) => {
                self.look(glance);
                None
            }
            // The view says them.
            Key::Listening if self.is_shown() => None,
            Key::Help if self.look(Glance::Help) => None,
            Key::HangUp => self.heed(Signal::HangUp),
            Key::Listening if is_open => Some(words(KEYS_OPEN)),
            Key::Listening => Some(words(KEYS)),
            Key::Help => Some(Said::Words(ALL_KEYS.map(str::to_owned).into())),
            Key::Quit if self.stops >= 2 => Some(words("what is in flight is being dropped")),
            Key::Quit => {
                self.end();
                None
            }
            Key::Users(more) => self.wish(Change::MoreUsers(more)),
            Key::Pause if self.wanted.paused => self.wish(Change::Resume),
            Key::Pause => self.wish(Change::Pause),
            Key::Rate(more) => self.wish_rate(|rate| rate + f64::from(more)),
            Key::RatePercent(more) => self.wish_rate(|rate| rate * (1.0 + f64::from(more) / 100.0)),
        }
    }

    fn wish_rate(&mut self, other: impl FnOnce(f64) -> f64) -> Option<Said> {
        let Some(rate) = self.rate_now() else {
            let why = if self.plan.is_open() {
                Refusal::Timed
            } else {
                Refusal::Closed
            };
            return Some(impossible(&why));
        };
        match Rate::try_from(other(rate)) {
            Ok(rate) => self.wish(Change::Rate(rate)),
            Err(error) => Some(impossible(&error)),
        }
    }

    /// The rate that is wished, or that the plan has about now.
    fn rate_now(&self) -> Option<f64> {
        let since = self.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let planned = || self.plan.rate_at(Offset::from(since));
        self.wanted.rate.map(Rate::as_f64).or_else(planned)
    }

    fn wish(&mut self, change: Change) -> Option<Said> {
        let (answer, answered) = oneshot::channel();
        let order = MasterCommand::Change(change, answer);
        if self.orders.capacity() <= KEPT_FOR_SIGNALS || self.orders.try_send(order).is_err() {
            return Some(words("the master is busy: press the key again"));
        }
        self.answers.push_back(answered);
        // Two keys may be pressed before the first is answered.
        match change {
            Change::Pause => self.wanted.paused = true,
            Change::Resume => self.wanted.paused = false,
            Change::Rate(rate) => self.wanted.rate = Some(rate),
            Change::Users(_) | Change::MoreUsers(_) | Change::SpawnRate(_) => {}
        }
        None
    }

    /// A wish that comes true is announced by the run itself.
    fn worded(&mut self, answer: Result<Coming, Refusal>) -> Option<Said> {
        match answer {
            Ok(coming) => {
                if self.answers.is_empty() {
                    self.wanted = coming.load;
                }
                let same = coming.load == self.announced;
                same.then(|| words(&format!("nothing changes: {}", reported(coming.load))))
            }
            Err(refusal) => {
                if self.answers.is_empty() {
                    self.wanted = self.announced;
                }
                Some(impossible(&refusal))
            }
        }
    }
}

fn words(line: &str) -> Said {
    Said::Words(vec![line.to_owned()])
}

fn impossible(why: &dyn std::fmt::Display) -> Said {
    Said::Words(vec![format!("not possible: {why}")])
}

/// The answer to the oldest wish. A master that is through answers no more.
async fn answered(answers: &mut VecDeque<Answer>) -> Result<Coming, Refusal> {
    let Some(first) = answers.front_mut() else {
        return std::future::pending().await;
    };
    let answer = first.await;
    answers.pop_front();
    answer.unwrap_or(Err(Refusal::Ending))
}

async fn pressed(keyboard: &mut Option<Keyboard>) -> Key {
    match keyboard {
        Some(keyboard) => keyboard.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{AT_ONCE, Law, Pacing};

    struct Stage {
        conductor: Conductor,
        orders: mpsc::Receiver<MasterCommand>,
        signals: mpsc::Sender<Signal>,
    }

    fn load(rate: Option<u32>) -> Load {
        Load {
            users: 20,
            spawn_rate: Rate::per_second(1),
            rate: rate.map(Rate::per_second),
            paused: false,
        }
    }

    fn plan(rate: Option<u32>) -> Spec {
        let open = |rate| Pacing::Open {
            rate: Rate::per_second(rate),
            law: Law::Constant,
        };
        Spec {
            users: 20,
            spawn_rate: AT_ONCE,
            pacing: rate.map_or(Pacing::Closed, open),
            run_time: None,
            warmup: Duration::ZERO,
            measure_ramp: false,
            max_requests: None,
            ramp: None,
            spread: Duration::ZERO,
            think: None,
            burstiness: 1.0,
            enough: None,
        }
    }

    fn stage(rate: Option<u32>) -> Stage {
        staged(&plan(rate), load(rate))
    }

    fn staged(plan: &Spec, load: Load) -> Stage {
        let (sender, orders) = mpsc::channel(ORDERS);
        let (signals, heard) = mpsc::channel(4);
        let mut conductor = Conductor::new(sender, heard, plan, load);
        conductor.hush();
        Stage {
            conductor,
            orders,
            signals,
        }
    }

    impl Stage {
        fn order(&mut self) -> MasterCommand {
            self.orders.try_recv().unwrap()
        }

        /// Takes a wish and answers it.
        fn answer(&mut self, answer: Result<Coming, Refusal>) -> Change {
            let MasterCommand::Change(change, sender) = self.order() else {
                panic!("no wish");
            };
            sender.send(answer).unwrap();
            change
        }
    }

    fn line(said: Option<Said>) -> String {
        match said {
            Some(Said::Words(lines)) => lines.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn signals_and_q_count_together_and_only_a_signal_ends_the_program() {
        let mut stage = stage(None);
        assert_eq!(stage.conductor.press(Key::Quit), None);
        assert!(matches!(stage.order(), MasterCommand::Stop));
        assert_eq!(stage.conductor.last_signal(), None);
        assert_eq!(stage.conductor.heed(Signal::Interrupt), None);
        assert!(matches!(stage.order(), MasterCommand::Abort));
        assert!(line(stage.conductor.press(Key::Quit)).contains("being dropped"));
        stage.signals.send(Signal::Terminate).await.unwrap();
        assert_eq!(stage.conductor.next().await, Said::Leave(143));
        assert!(stage.orders.try_recv().is_err());
    }

    #[test]
    fn a_stop_from_elsewhere_counts_too() {
        let mut stage = stage(None);
        stage
            .conductor
            .note(&MasterEvent::Stopping { abort: false });
        assert_eq!(stage.conductor.heed(Signal::Interrupt), None);
        assert!(matches!(stage.order(), MasterCommand::Abort));
    }

    #[tokio::test]
    async fn a_wish_that_changes_nothing_or_is_refused_is_answered() {
        let mut stage = stage(None);
        let from = Offset::ZERO;
        assert_eq!(stage.conductor.press(Key::Users(-10)), None);
        let same = Coming {
            from,
            load: load(None),
        };
        assert_eq!(stage.answer(Ok(same)), Change::MoreUsers(-10));
        let said = stage.conductor.next().await;
        assert_eq!(line(Some(said)), "nothing changes: 20 users");
        stage.conductor.press(Key::Users(1));
        stage.answer(Err(Refusal::Counted));
        let said = line(Some(stage.conductor.next().await));
        assert!(
            said.starts_with("not possible: the run sends a fixed"),
            "{said}"
        );
        let said = line(stage.conductor.press(Key::RatePercent(10)));
        assert!(
            said.starts_with("not possible: the run is a closed loop"),
            "{said}"
        );
    }

    #[test]
    fn rates_are_reckoned_from_what_is_wished_already() {
        let mut stage = stage(Some(20));
        let mut asked = |key| {
            stage.conductor.press(key);
            match stage.orders.try_recv() {
                Ok(MasterCommand::Change(Change::Rate(rate), _)) => rate.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let rates = [Key::RatePercent(10), Key::Rate(1), Key::RatePercent(-10)].map(&mut asked);
        assert_eq!(rates, ["22", "23", "20.7"]);
        let mut stage = self::stage(Some(1));
        let said = line(stage.conductor.press(Key::Rate(-1)));
        assert!(said.starts_with("not possible: a rate of 0"), "{said}");
    }

    #[test]
    fn a_plan_that_changes_its_rate_is_changed_from_where_it_is_and_bursts_have_none() {
        let mut spec = plan(None);
        spec.pacing = Pacing::Stages {
            stages: vec![crate::schedule::Stage {
                from: 30.0,
                to: 30.0,
                lasts: Duration::from_secs(60),
            }],
            law: Law::Constant,
        };
        let mut stage = staged(&spec, load(None));
        assert_eq!(stage.conductor.press(Key::Rate(1)), None);
        let MasterCommand::Change(change, _) = stage.order() else {
            panic!("no wish");
        };
        assert_eq!(change, Change::Rate(Rate::per_second(31)));
        spec.pacing = Pacing::Burst {
            every: Duration::from_secs(1),
        };
        let said = line(staged(&spec, load(None)).conductor.press(Key::Rate(1)));
        assert!(said.ends_with("it has no rate"), "{said}");
    }

    #[test]
    fn a_second_p_resumes_though_the_first_is_not_answered_yet() {
        let mut stage = stage(None);
        for wanted in [Change::Pause, Change::Resume] {
            stage.conductor.press(Key::Pause);
            let MasterCommand::Change(change, _) = stage.order() else {
                panic!("no wish");
            };
            assert_eq!(change, wanted);
        }
    }

    #[test]
    fn keys_leave_room_for_signals() {
        let mut stage = stage(None);
        let presses = (0..ORDERS).map(|_| stage.conductor.press(Key::Users(1)));
        assert!(presses.last().unwrap().is_some());
        stage.conductor.heed(Signal::Interrupt);
        let mut orders = Vec::new();
        while let Ok(order) = stage.orders.try_recv() {
            orders.push(order);
        }
        assert!(matches!(orders.last(), Some(MasterCommand::Stop)));
    }
}

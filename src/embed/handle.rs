//! What a caller tells a benchmark that runs: to end, which is heard whatever else is asked, and to say how it stands.
//! It decides nothing; the master does.

use std::convert::Infallible;

use tokio::sync::{mpsc, oneshot, watch};

use crate::cluster::{MasterCommand, RunStatus};

/// Questions that may wait; who asks then waits, too.
const QUESTIONS: usize = 16;

/// The most that was ordered so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    GoOn,
    Stop,
    Abort,
}

/// Tells a benchmark that runs what to do. When all of them are gone it goes on.
#[derive(Clone, Debug)]
pub struct Handle {
    /// No queue: an order must not be lost where many questions wait.
    order: watch::Sender<Order>,
    questions: mpsc::Sender<MasterCommand>,
}

/// The other end of the handles.
#[derive(Debug)]
pub(super) struct Told {
    order: watch::Receiver<Order>,
    questions: mpsc::Receiver<MasterCommand>,
}

/// A handle, and where it is heard.
pub(super) fn handle() -> (Handle, Told) {
    let (order, orders) = watch::channel(Order::GoOn);
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let told = Told {
        order: orders,
        questions: asked,
    };
    (Handle { order, questions }, told)
}

impl Handle {
    /// Begin no more requests; those in flight may end. Does nothing after the end.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    /// Drop what is in flight, too; it is counted as cancelled. Does nothing after the end.
    pub fn abort(&self) {
        self.order(Order::Abort);
    }

    fn order(&self, order: Order) {
        self.order.send_if_modified(|most| {
            let is_more = *most < order;
            *most = order.max(*most);
            is_more
        });
    }

    /// How the run stands: its phase, its load, requests and latencies so far. `None` when it is over.
    pub async fn status(&self) -> Option<RunStatus> {
        let (answer, status) = oneshot::channel();
        let question = MasterCommand::Status(answer);
        self.questions.send(question).await.ok()?;
        status.await.ok().map(|status| *status)
    }
}

impl Told {
    /// What `run` comes to, which hears everything that is told until then.
    pub(super) async fn carried<T, F: Future<Output = T>>(
        self,
        run: impl FnOnce(mpsc::Receiver<MasterCommand>) -> F,
    ) -> T {
        let (commands, heard) = mpsc::channel(1);
        tokio::select! {
            biased;
            result = run(heard) => result,
            never = self.carry(commands) => match never {},
        }
    }

    async fn carry(mut self, commands: mpsc::Sender<MasterCommand>) -> Infallible {
        loop {
            let command = tokio::select! {
                biased;
                Ok(()) = self.order.changed() => match *self.order.borrow_and_update() {
                    Order::GoOn => continue,
                    Order::Stop => MasterCommand::Stop,
                    Order::Abort => MasterCommand::Abort,
                },
                Some(question) = self.questions.recv() => question,
                else => std::future::pending().await,
            };
            if commands.send(command).await.is_err() {
                // The run is over: its result is on its way.
                std::future::pending::<()>().await;
            }
        }
    }
}

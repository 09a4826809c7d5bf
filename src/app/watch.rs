//! A run's look at its server: when it begins and ends. How it looks is `sampler`'s matter.

use std::net::IpAddr;

use tokio::sync::watch;

use super::conduct::Conductor;
use super::console::complain;
use super::discover::Way;
use super::sampler::{Sampler, usual_page};
use crate::cluster::MasterEvent;
use crate::config::Settings;
use crate::gauges::{Look, Watched};
use crate::plan::Plan;

/// A run's sampler, before and while there is one.
pub(super) struct Watch<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    source: Option<IpAddr>,
    /// Where the last look is told, while the run goes on.
    glance: watch::Sender<Option<Look>>,
    sampler: Option<Sampler>,
}

impl<'a> Watch<'a> {
    /// Nothing is looked at yet, unless the run is under way already.
    pub(super) fn over(
        settings: &'a Settings,
        plan: &'a Plan,
        source: Option<IpAddr>,
        glance: watch::Sender<Option<Look>>,
        goes_on: bool,
    ) -> Self {
        let mut watch = Self {
            settings,
            plan,
            source,
            glance,
            sampler: None,
        };
        if goes_on {
            watch.begin();
        }
        watch
    }

    /// The first look is when the workers hear of the start, which with server metrics is half a second before it in a run of
    /// one process, too (`session::local_config`): requests that warm the server up are over by then.
    pub(super) fn note(&mut self, event: &MasterEvent) {
        if matches!(event, MasterEvent::Starting { .. }) {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let Some(wanted) = &self.settings.server_metrics else {
            return;
        };
        let url = wanted
            .url
            .clone()
            .unwrap_or_else(|| usual_page(&self.settings.target.base_url));
        let way = Way {
            ca_pem: self.plan.target.ca_pem.as_deref(),
            source: self.source,
        };
        let glance = self.glance.clone();
        match Sampler::start_telling(&url, wanted.step, self.settings, way, glance) {
            Ok(sampler) => self.sampler = Some(sampler),
            // The run itself goes on.
            Err(failure) => complain(&failure.without(&self.settings.secrets.values())),
        }
    }

    /// What was seen, unless there was nothing to look at, or somebody does not want to wait for the last look.
    pub(super) async fn end(self, conductor: &mut Conductor) -> Option<Watched> {
        let sampler = self.sampler?;
        tokio::select! {
            watched = sampler.stop() => Some(watched),
            Some(_) = conductor.signal() => None,
        }
    }
}

//! One target: its probes, each with its redirects, time-out and retries.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reqwest::header::LOCATION;
use reqwest::{Client, Response};

use super::assert::{Expectations, Observation};
use super::plan::{Schedule, Tally};
use super::request::{Hop, Sender, Target};
use crate::describe::{describe, shorten};
use crate::dns::DnsError;
use crate::log;
use crate::tls::ChainLog;
use crate::values::Span;

/// Probes one target.
pub(super) struct Prober<'a> {
    sender: &'a Sender,
    expected: &'a Expectations,
    schedule: Schedule,
    target: &'a Target,
    certificates: ChainLog,
    connected: Arc<AtomicBool>,
    reading: AtomicBool,
    /// One for the target itself, and others for hosts that redirects name: (own, TLS, client).
    clients: Vec<(bool, bool, Client)>,
}

impl<'a> Prober<'a> {
    pub(super) fn new(
        sender: &'a Sender,
        expected: &'a Expectations,
        schedule: Schedule,
        target: &'a Target,
    ) -> Prober<'a> {
        Prober {
            sender,
            expected,
            schedule,
            target,
            certificates: ChainLog::default(),
            connected: Arc::default(),
            reading: AtomicBool::new(false),
            clients: Vec::new(),
        }
    }

    /// Probes until `until`, if there is such a time.
    pub(super) async fn run(mut self, until: Option<Instant>) -> Result<(), String> {
        let mut tally = Tally::new(self.schedule);
        let finished = match until {
            Some(until) => tokio::time::timeout_at(until.into(), self.probes(&mut tally))
                .await
                .is_ok(),
            None => {
                self.probes(&mut tally).await;
                true
            }
        };
        tally.verdict(!finished)
    }

    async fn probes(&mut self, tally: &mut Tally) {
        loop {
            let outcome = self.with_retries().await;
            tally.count(outcome);
            if !tally.goes_on() {
                return;
            }
            tokio::time::sleep(self.schedule.pause).await;
        }
    }

    async fn with_retries(&mut self) -> Result<(), Vec<String>> {
        let mut tries = 0;
        loop {
            let outcome = self.once().await;
            if outcome.is_ok() || tries == self.schedule.retries {
                return outcome;
            }
            tries += 1;
            tokio::time::sleep(self.schedule.retry_delay).await;
        }
    }

    async fn once(&mut self) -> Result<(), Vec<String>> {
        let started = Instant::now();
        let timeout = self.schedule.timeout;
        let outcome = match tokio::time::timeout(timeout, self.exchange(started)).await {
            Ok(Ok(seen)) => {
                let failures = self.expected.failures(&seen);
                log!(
                    "{}: status {} after {} ms",
                    self.target,
                    seen.status,
                    seen.elapsed.as_millis()
                );
                if failures.is_empty() {
                    Ok(())
                } else {
                    Err(failures)
                }
            }
            Ok(Err(reason)) => Err(vec![reason]),
            Err(_) => Err(vec![format!(
                "timed out after {} {}",
                Span(timeout),
                self.phase()
            )]),
        };
        if let Err(reasons) = &outcome {
            log!(
                "{}: {} (after {} ms)",
                self.target,
                reasons.join("; "),
                started.elapsed().as_millis()
            );
        }
        outcome
    }

    fn phase(&self) -> &'static str {
        if self.reading.load(Ordering::Relaxed) {
            "reading the body"
        } else if self.connected.load(Ordering::Relaxed) {
            "waiting for an answer"
        } else {
            "connecting"
        }
    }

    async fn exchange(&mut self, started: Instant) -> Result<Observation, String> {
        self.certificates.take();
        let mut hop = self.sender.first(self.target);
        let mut redirects = 0;
        loop {
            let response = self.send(&hop).await?;
            let status = response.status().as_u16();
            let location = match status {
                301 | 302 | 303 | 307 | 308 if self.sender.max_redirects > 0 => {
                    response.headers().get(LOCATION)
                }
                _ => None,
            };
            let Some(location) = location else {
                return self.observe(&hop, response, started).await;
            };
            if redirects == self.sender.max_redirects {
                return Err(format!("more than {redirects} redirects"));
            }
            redirects += 1;
            let next = self
                .sender
                .follow(self.target, &hop, status, location.as_bytes())?;
            log!(
                "{}: status {status}, redirected to {}",
                self.target,
                crate::describe::shown_url(&next.url)
            );
            hop = next;
        }
    }

    async fn send(&mut self, hop: &Hop) -> Result<Response, String> {
        self.connected.store(false, Ordering::Relaxed);
        self.reading.store(false, Ordering::Relaxed);
        self.check_family(hop)?;
        let client = self.client(hop)?;
        client
            .execute(self.sender.request(self.target, hop))
            .await
            .map_err(|error| self.reason(&error, hop))
    }

    /// An address in the URL is connected to without asking the resolver, which else sees to the family.
    fn check_family(&self, hop: &Hop) -> Result<(), String> {
        let ip = match hop.url.host() {
            Some(url::Host::Ipv4(ip)) => ip.into(),
            Some(url::Host::Ipv6(ip)) => std::net::IpAddr::from(ip),
            _ => return Ok(()),
        };
        let family = self.sender.family;
        if family.order(vec![ip], |ip| *ip).is_empty() {
            let host = hop.url.host_str().unwrap_or_default().to_owned();
            return Err(DnsError::NoneOfFamily { host, family }.to_string());
        }
        Ok(())
    }

    fn client(&mut self, hop: &Hop) -> Result<Client, String> {
        let kind = (hop.own, hop.url.scheme() == "https");
        if let Some((_, _, client)) = self
            .clients
            .iter()
            .find(|(own, tls, _)| (*own, *tls) == kind)
        {
            return Ok(client.clone());
        }
        let client = self
            .sender
            .client(self.target, hop, &self.certificates, &self.connected)?;
        self.clients.push((kind.0, kind.1, client.clone()));
        Ok(client)
    }

    fn reason(&self, error: &reqwest::Error, hop: &Hop) -> String {
        let mut reason = describe(error);
        if error.is_connect() && self.sender.may_use_proxy(self.target, hop) {
            reason += " (a proxy is set)";
        }
        // The target is named by the finding; what it redirected to is not.
        if hop.url != self.target.url {
            let place = hop.url.host_str().unwrap_or_default();
            reason = format!("redirected to {}: {reason}", shorten(place, 80));
        }
        reason
    }

    async fn observe(
        &self,
        hop: &Hop,
        mut response: Response,
        started: Instant,
    ) -> Result<Observation, String> {
        self.reading.store(true, Ordering::Relaxed);
        let limit = self.expected.max_body();
        let keep = self.expected.judges_body();
        let (mut body, mut length, mut whole) = (Vec::new(), 0, true);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| format!("reading the body: {}", describe(&error)))?
        {
            length += chunk.len();
            let fits = chunk.len() - length.saturating_sub(limit).min(chunk.len());
            if keep {
                body.extend_from_slice(&chunk[..fits]);
            }
            if length > limit {
                whole = false;
                break;
            }
        }
        Ok(Observation {
            status: response.status().as_u16(),
            version: response.version(),
            tls: hop.url.scheme() == "https",
            headers: std::mem::take(response.headers_mut()),
            body,
            whole,
            elapsed: started.elapsed(),
            expiring: self.certificates.take(),
        })
    }
}

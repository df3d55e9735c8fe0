//! Verification of a server's certificates that also notes when they run out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: u64 = 86_400;

/// A certificate that runs out before the days required of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiring {
    /// The name the client asked for.
    pub host: String,
    /// The last day, as `2026-12-01` (UTC); unknown if the certificate cannot be read.
    pub date: Option<String>,
    /// Whether it is one that the server's own certificate depends on.
    pub intermediate: bool,
}

impl Expiring {
    /// Why it fails where certificates must stay valid for `days`.
    pub fn reason(&self, days: u32) -> String {
        let which = match self.intermediate {
            true => "a CA certificate behind that",
            false => "certificate",
        };
        let date = self.date.as_deref().unwrap_or("at an unknown date");
        let host = &self.host;
        format!("{which} of {host} expires {date}, before the required {days} days")
    }
}

/// What handshakes noted; clones share it.
#[derive(Debug, Clone, Default)]
pub struct ChainLog(Arc<Mutex<Vec<Expiring>>>);

impl ChainLog {
    /// What was noted since the last call.
    pub fn take(&self) -> Vec<Expiring> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, expiring: Expiring) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains(&expiring) {
            noted.push(expiring);
        }
    }
}

/// The usual verification, or none (`inner` is `None`), and a note of what expires within `min_days`.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) inner: Option<Arc<WebPkiServerVerifier>>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) min_days: Option<u32>,
    pub(super) log: ChainLog,
}

impl Verifier {
    fn expiring(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
        days: u32,
    ) -> Option<Expiring> {
        let limit = now.as_secs() + u64::from(days) * DAY;
        let expiring = |until: Option<u64>, intermediate| Expiring {
            host: name.to_str().into_owned(),
            date: until.map(date),
            intermediate,
        };
        let own = not_after(end_entity);
        if own.is_none_or(|until| until < limit) {
            return Some(expiring(own, false));
        }
        // Servers send more than the chain needs (an expired cross-signed root, say), so what counts is not the
        // earliest date of all but whether any path will still hold on that day.
        let then = UnixTime::since_unix_epoch(Duration::from_secs(limit));
        let verified =
            self.inner
                .as_ref()?
                .verify_server_cert(end_entity, intermediates, name, ocsp, then);
        if !matches!(
            verified,
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        ) {
            return None;
        }
        let first = intermediates
            .iter()
            .filter_map(not_after)
            .filter(|until| *until < limit)
            .min();
        Some(expiring(first, true))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(inner) = &self.inner {
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        if let Some(days) = self.min_days {
            let expiring = self.expiring(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
                days,
            );
            expiring
                .into_iter()
                .for_each(|expiring| self.log.note(expiring));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// When a certificate runs out, in unix seconds.
fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(parsed.validity().not_after.timestamp()).ok()
}

/// The day of `unix` seconds in UTC, as `2026-12-01`.
pub fn date(unix: u64) -> String {
    // Days since 0000-03-01, in eras of 400 years; after Howard Hinnant's `civil_from_days`.
    let days = unix / DAY + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_735_689_599, "2024-12-31"),
            (1_796_083_200, "2026-12-01"),
            (4_102_444_800, "2100-01-01"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(date(unix), day);
        }
    }
}

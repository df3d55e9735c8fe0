//! From plain text to TLS as SMTP (RFC 3207), IMAP (RFC 9051) and PostgreSQL's protocol do it.
//!
//! Nothing the server says in plain text may count after that: whatever comes behind its last word before TLS was put
//! there by somebody else (CVE-2011-0411, CVE-2021-23222), and ends the attempt.

use std::fmt;
use std::str::FromStr;

use super::bytes::excerpt;
use super::limit::Failure;
use super::talk::{Talk, Wire};
use crate::values::BadValue;

/// More lines than any greeting or list of extensions has.
const MOST_LINES: usize = 200;

/// A protocol that begins in plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartTls {
    /// SMTP, `STARTTLS` after `EHLO`.
    Smtp,
    /// IMAP, `STARTTLS` after the greeting.
    Imap,
    /// PostgreSQL, `SSLRequest` before anything else.
    Postgres,
}

impl FromStr for StartTls {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<StartTls, BadValue> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "smtp" => StartTls::Smtp,
            "imap" => StartTls::Imap,
            "postgres" | "postgresql" => StartTls::Postgres,
            _ => {
                return Err(BadValue::expected(
                    "smtp, imap or postgres (for others, DIALOGUE has a step starttls)",
                ));
            }
        })
    }
}

impl fmt::Display for StartTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartTls::Smtp => "SMTP",
            StartTls::Imap => "IMAP",
            StartTls::Postgres => "PostgreSQL",
        })
    }
}

impl StartTls {
    /// Brings the server to the point where it expects TLS.
    pub(super) async fn ask<S: Wire>(self, talk: &mut Talk<S>) -> Result<(), Failure> {
        match self {
            StartTls::Smtp => smtp(talk).await,
            StartTls::Imap => imap(talk).await,
            StartTls::Postgres => postgres(talk).await,
        }
    }
}

async fn smtp<S: Wire>(talk: &mut Talk<S>) -> Result<(), Failure> {
    let greeting = "an SMTP greeting (220)";
    let reply = smtp_reply(talk, greeting).await?;
    reply.must_be("220", greeting)?;
    // An address literal: the pod has no name that a mail server could know.
    talk.send(b"EHLO [127.0.0.1]\r\n").await?;
    let extensions = "SMTP extensions (250)";
    let reply = smtp_reply(talk, extensions).await?;
    reply.must_be("250", extensions)?;
    if !reply
        .lines
        .iter()
        .skip(1)
        .any(|line| line.trim().eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(Failure::new(
            "an SMTP server with STARTTLS",
            "one that does not offer it",
        ));
    }
    talk.send(b"STARTTLS\r\n").await?;
    let agreed = "SMTP to agree to STARTTLS (220)";
    smtp_reply(talk, agreed).await?.must_be("220", agreed)
}

/// A code, and the text of each line.
struct SmtpReply {
    code: String,
    lines: Vec<String>,
}

impl SmtpReply {
    fn must_be(&self, code: &str, expected: &str) -> Result<(), Failure> {
        if self.code == code {
            return Ok(());
        }
        let first = self.lines.first().map_or("", String::as_str);
        Err(Failure::new(
            expected,
            excerpt(format!("{} {first}", self.code).as_bytes(), b""),
        ))
    }
}

async fn smtp_reply<S: Wire>(talk: &mut Talk<S>, expected: &str) -> Result<SmtpReply, Failure> {
    let mut reply = SmtpReply {
        code: String::new(),
        lines: Vec::new(),
    };
    for _ in 0..MOST_LINES {
        let line = talk.line(expected).await?;
        let code = line
            .get(..3)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        let same = reply.code.is_empty() || code == Some(&reply.code);
        let (Some(code), true) = (code, same) else {
            return Err(Failure::new(expected, excerpt(line.as_bytes(), b"")));
        };
        reply.code = code.to_owned();
        let more = line[3..].starts_with('-');
        reply
            .lines
            .push(line[3..].trim_start_matches(['-', ' ']).to_owned());
        if !more {
            return Ok(reply);
        }
    }
    Err(Failure::new(expected, "a reply without an end"))
}

async fn imap<S: Wire>(talk: &mut Talk<S>) -> Result<(), Failure> {
    let greeting = "an IMAP greeting (* OK)";
    let line = talk.line(greeting).await?;
    let seen = || excerpt(line.as_bytes(), b"");
    if starts(&line, "* PREAUTH") {
        // STARTTLS is not allowed after it, so a client that went on would go on in plain text.
        return Err(Failure::new(
            greeting,
            "PREAUTH, with which STARTTLS is impossible",
        ));
    }
    if !starts(&line, "* OK") {
        return Err(Failure::new(greeting, seen()));
    }
    talk.send(b"a1 STARTTLS\r\n").await?;
    let agreed = "IMAP to agree to STARTTLS (OK)";
    for _ in 0..MOST_LINES {
        let line = talk.line(agreed).await?;
        if starts(&line, "a1 OK") {
            return Ok(());
        }
        if !line.starts_with("* ") || starts(&line, "* BYE") {
            let said = line.strip_prefix("a1 ").unwrap_or(&line);
            return Err(Failure::new(agreed, excerpt(said.as_bytes(), b"")));
        }
    }
    Err(Failure::new(agreed, "a reply without an end"))
}

/// Whether `line` begins with the words of `prefix`, in any case.
fn starts(line: &str, prefix: &str) -> bool {
    let head = line
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    head && line[prefix.len()..].chars().next().is_none_or(|c| c == ' ')
}

async fn postgres<S: Wire>(talk: &mut Talk<S>) -> Result<(), Failure> {
    // The length of the message, then the code that stands for an SSLRequest.
    talk.send(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await?;
    let expected = "PostgreSQL to agree to TLS (S)";
    match talk.byte(expected).await? {
        b'S' => Ok(()),
        b'N' => Err(Failure::new(expected, "N: it does not offer TLS")),
        b'E' => Err(Failure::new(expected, "an error instead")),
        _ => Err(Failure::new(expected, "what is not PostgreSQL")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::limit::Limit;
    use super::*;

    /// What was sent; what the failure says was seen, or what was left over.
    async fn ask(protocol: StartTls, server: &[u8]) -> (Vec<u8>, Result<(), String>) {
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(server).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut talk = Talk::new(ours, Limit::new(Duration::from_secs(5), None));
        let result = match protocol.ask(&mut talk).await {
            Ok(()) => talk
                .into_stream()
                .map(drop)
                .map_err(|left| format!("left over: {left}")),
            Err(failure) => {
                drop(talk);
                Err(failure.seen().to_owned())
            }
        };
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        (sent, result)
    }

    #[tokio::test]
    async fn servers_that_agree() {
        let smtp = b"220-a\r\n220 b\r\n250-mail\r\n250-SIZE\r\n250 starttls\r\n220 go\r\n";
        assert_eq!(
            ask(StartTls::Smtp, smtp).await,
            (b"EHLO [127.0.0.1]\r\nSTARTTLS\r\n".to_vec(), Ok(()))
        );
        let imap = b"* OK [CAPABILITY STARTTLS] hi\r\n* noise\r\nA1 ok go\r\n";
        assert_eq!(
            ask(StartTls::Imap, imap).await,
            (b"a1 STARTTLS\r\n".to_vec(), Ok(()))
        );
        assert_eq!(ask(StartTls::Postgres, b"S").await.1, Ok(()));
    }

    #[tokio::test]
    async fn servers_that_refuse_or_are_something_else() {
        for (protocol, server, seen) in [
            (StartTls::Smtp, &b"554 go away\r\n"[..], "\"554 go away\""),
            (StartTls::Smtp, b"220 a\r\n502 no\r\n", "\"502 no\""),
            (
                StartTls::Smtp,
                b"220 a\r\n250-mail\r\n250 SIZE\r\n",
                "one that does not offer it",
            ),
            // The name of the server is not an extension.
            (
                StartTls::Smtp,
                b"220 a\r\n250 STARTTLS\r\n",
                "one that does not offer it",
            ),
            (
                StartTls::Smtp,
                b"220 a\r\n250-mail\r\n250 STARTTLS\r\n454 not now\r\n",
                "\"454 not now\"",
            ),
            (StartTls::Smtp, b"220-a\r\n221 b\r\n", "\"221 b\""),
            (StartTls::Smtp, b"SSH-2.0-x\r\n", "\"SSH-2.0-x\""),
            (
                StartTls::Smtp,
                b"",
                "the connection closed without an answer",
            ),
            (
                StartTls::Smtp,
                b"220 a\r\n250-mail\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n",
                "left over: \"250 injected\"",
            ),
            (
                StartTls::Imap,
                b"* PREAUTH hi\r\n",
                "PREAUTH, with which STARTTLS is impossible",
            ),
            (StartTls::Imap, b"* BYE busy\r\n", "\"* BYE busy\""),
            (
                StartTls::Imap,
                b"* OK hi\r\na1 BAD what\r\n",
                "\"BAD what\"",
            ),
            (StartTls::Imap, b"* OK hi\r\na1 OKAY\r\n", "\"OKAY\""),
            (StartTls::Imap, b"* OK hi\r\n* BYE\r\n", "\"* BYE\""),
            (
                StartTls::Imap,
                b"* OK hi\r\na1 OK\r\n* OK injected\r\n",
                "left over: \"* OK injected\"",
            ),
            (StartTls::Postgres, b"N", "N: it does not offer TLS"),
            (StartTls::Postgres, b"EFATAL", "an error instead"),
            (StartTls::Postgres, b"HTTP", "what is not PostgreSQL"),
            (
                StartTls::Postgres,
                b"SEinjected",
                "left over: \"Einjected\"",
            ),
        ] {
            let (_, result) = ask(protocol, server).await;
            assert_eq!(
                result,
                Err(seen.to_owned()),
                "{protocol}: {}",
                String::from_utf8_lossy(server)
            );
        }
        let endless = "220-a\r\n".repeat(MOST_LINES + 1);
        assert_eq!(
            ask(StartTls::Smtp, endless.as_bytes()).await.1,
            Err("a reply without an end".to_owned())
        );
    }
}

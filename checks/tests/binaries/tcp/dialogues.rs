//! Send and expect over TCP: answers that are right, wrong, slow, huge or missing.

use std::io::Write;
use std::thread;
use std::time::Duration;

use super::*;

const SHORT: (&str, &str) = ("CONNECTION_TIMEOUT", "1s");

/// Answers each line by what `respond` makes of it.
fn lines(banner: &'static str, respond: fn(&str) -> String) -> String {
    let address = serve(move |mut stream| {
        let _ = stream.write_all(banner.as_bytes());
        loop {
            let line = read_line(&mut stream);
            if line.is_empty()
                || stream
                    .write_all(respond(line.trim_end()).as_bytes())
                    .is_err()
            {
                return;
            }
        }
    });
    format!("tcp://{address}")
}

fn redis() -> String {
    lines("", |line| match line {
        "PING" => "+PONG\r\n".to_owned(),
        "AUTH s3cret" => "-WRONGPASS invalid password s3cret\r\n".to_owned(),
        other => format!("-ERR unknown command '{other}'\r\n"),
    })
}

#[test]
fn an_answer_is_a_pattern_or_begins_with_bytes() {
    let redis = redis();
    for (send, expect) in [
        ("PING\\r\\n", "^\\+PONG$"),
        ("PING\r\n", "PONG"),
        ("hex:50494e47 0d0a", "prefix:+PONG\\r\\n"),
        ("PING\\x0d\\x0A", "prefix: hex: 2b 50"),
    ] {
        probe(&redis, &[("SEND", send), ("EXPECT", expect)]).passed();
    }
    probe(&redis, &[("SEND", "PING\\r\\n"), ("EXPECT", "prefix:-")]).failed_at(
        &redis,
        "expected an answer that begins with -, seen \"+PONG\"",
    );
    probe(&redis, &[SHORT, ("SEND", "FOO\\r\\n"), ("EXPECT", "^\\+PONG")])
        .failed_at(&redis, "expected an answer that matches ^\\+PONG, seen \"-ERR unknown command 'FOO'\" and no more within 1s");
}

#[test]
fn what_was_sent_is_never_shown() {
    let redis = redis();
    let verdict = probe(
        &redis,
        &[SHORT, ("SEND", "AUTH s3cret\\r\\n"), ("EXPECT", "^\\+OK")],
    );
    verdict.failed_at(
        &redis,
        "expected an answer that matches ^\\+OK, seen \"-WRONGPASS invalid password ***\" and no more within 1s",
    );
    assert!(!verdict.log.contains("s3cret"), "{verdict:#?}");
    let echo = lines("", |line| format!("{line}\r\n"));
    probe(&echo, &[SHORT, ("SEND", "AUTH s3cret\\r\\n"), ("EXPECT", "^\\+OK")]).failed_at(
        &echo,
        "expected an answer that matches ^\\+OK, seen what was sent, unchanged and no more within 1s",
    );
}

#[test]
fn a_banner_is_read_first() {
    let target = lines("220-mail.example\r\n220 ready\r\n", |line| match line {
        "QUIT" => "221 bye\r\n".to_owned(),
        _ => "500 what\r\n".to_owned(),
    });
    probe(&target, &[("EXPECT_BANNER", "^220 ")]).passed();
    probe(
        &target,
        &[
            ("EXPECT_BANNER", "^220 ready"),
            ("SEND", "QUIT\\r\\n"),
            ("EXPECT", "^221 "),
        ],
    )
    .passed();
    probe(&target, &[("EXPECT_BANNER", "prefix:SSH-2.0-")]).failed_at(
        &target,
        "expected an answer that begins with SSH-2.0-, seen \"220-mail.example\"",
    );
    probe(&target, &[SHORT, ("EXPECT_BANNER", "^SSH-2.0-")]).failed_at(
        &target,
        "expected an answer that matches ^SSH-2.0-, seen \"220-mail.example\" and no more within 1s",
    );
}

#[test]
fn an_exchange_follows_another() {
    let target = lines("+OK pop3\r\n", |line| match line {
        "USER u" => "+OK\r\n".to_owned(),
        "PASS p" => "+OK 2 messages\r\n".to_owned(),
        _ => "-ERR\r\n".to_owned(),
    });
    let steps = "expect ^\\+OK.*\\r\\n\n send USER u\\r\\n\nexpect ^\\+OK.*\\r\\n\nsend PASS p\\r\\n\nexpect ^\\+OK \\d+ messages";
    probe(&target, &[("DIALOGUE", steps)]).passed();
    let wrong = steps.replace("PASS p", "PASS q");
    probe(&target, &[SHORT, ("DIALOGUE", &wrong)]).failed_at(
        &target,
        "expected an answer that matches ^\\+OK \\d+ messages, seen \"-ERR\" and no more within 1s",
    );
    check(&[("CONNECTION_TARGET", &target)])
        .arg("--dialogue=expect ^\\+OK.*\\r\\n")
        .arg("--dialogue=send USER u\\r\\n")
        .arg("--dialogue=expect prefix:+OK")
        .run()
        .passed();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("steps");
    std::fs::write(&file, format!("# as a mail reader does\n{steps}\n")).unwrap();
    probe(&target, &[("DIALOGUE_FILE", file.to_str().unwrap())]).passed();
}

#[test]
fn a_slow_drip_is_put_together_but_not_waited_for_for_ever() {
    let drip = |pause: u64| {
        serve(move |mut stream| {
            for byte in "* OK [CAPABILITY IMAP4rev1] ready\r\n".bytes().cycle() {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(pause));
            }
        })
    };
    probe(
        &drip(1).to_string(),
        &[("EXPECT_BANNER", "^\\* OK .*ready\\r\\n")],
    )
    .passed();
    let slow = format!("tcp://{}", drip(300));
    let verdict = probe(
        &slow,
        &[("CONNECTION_TIMEOUT", "1s"), ("EXPECT_BANNER", "ready$")],
    );
    assert!(
        !verdict.ok && verdict.errors[0].ends_with("and no more within 1s"),
        "{verdict:#?}"
    );
    assert!(verdict.took < Duration::from_secs(10));
}

#[test]
fn a_huge_answer_is_read_only_in_part() {
    let endless = serve(|mut stream| while stream.write_all(&[b'x'; 65_536]).is_ok() {});
    let target = format!("tcp://{endless}");
    let excerpt = format!("{}…", "x".repeat(47));
    probe(&target, &[("EXPECT_BANNER", "ready")]).failed_at(
        &target,
        &format!("expected an answer that matches ready, seen \"{excerpt}\" and 64KiB without it"),
    );
    probe(&target, &[("EXPECT_BANNER", "^x{1000}")]).passed();
}

#[test]
fn connections_that_end_early_are_told() {
    let closing = serve(|mut stream| {
        read_line(&mut stream);
    });
    let target = format!("tcp://{closing}");
    probe(&target, &[("SEND", "PING\\r\\n"), ("EXPECT", "PONG")]).failed_at(
        &target,
        "expected an answer that matches PONG, seen the connection closed without an answer",
    );
    let resetting = serve(|stream| {
        // Closing with unread data in the socket resets the connection.
        let mut one = [0];
        let _ = stream.peek(&mut one);
    });
    let target = format!("tcp://{resetting}");
    probe(&target, &[("SEND", "PING\\r\\n"), ("EXPECT", "PONG")]).failed_at(
        &target,
        "expected an answer that matches PONG, seen connection reset",
    );
    let silent = serve(|mut stream| wait_for_end(&mut stream));
    let target = format!("tcp://{silent}");
    probe(
        &target,
        &[SHORT, ("SEND", "PING\\r\\n"), ("EXPECT", "PONG")],
    )
    .failed_at(
        &target,
        "expected an answer that matches PONG, seen no answer within 1s",
    );
}

#[test]
fn a_file_of_steps_has_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("steps");
    std::fs::write(&file, "send x\n".repeat(200_000) + "expect y").unwrap();
    let verdict = probe("a:1", &[("DIALOGUE_FILE", file.to_str().unwrap())]);
    assert!(verdict.errors[0].contains("at most 1MiB"), "{verdict:#?}");
}

/// Its last words are read although there is nobody left to hear ours.
#[test]
fn a_server_that_hangs_up_first_is_still_heard() {
    let target = format!(
        "tcp://{}",
        serve(|mut stream| {
            let _ = stream.write_all(b"421 too many connections\r\n");
            // Unread data makes the kernel reset the connection.
            let _ = stream.peek(&mut [0]);
        })
    );
    let steps = "send a\nsend b\nsend c\nexpect ^220 ";
    probe(&target, &[("DIALOGUE", steps), SHORT]).failed_at(
        &target,
        "expected an answer that matches ^220, seen \"421 too many connections\" and then the connection closed",
    );
}

#[test]
fn binary_answers_are_shown_by_their_first_bytes() {
    let target = format!(
        "tcp://{}",
        saying(b"J\0\0\0\x0a8.0.36\0\x17\xaa\x01\0rAnD0m")
    );
    probe(&target, &[("EXPECT_BANNER", "^.\\x00\\x00\\x00\\x0a8\\.")]).passed();
    probe(&target, &[("EXPECT_BANNER", "prefix:hex: 4b")]).failed_at(
        &target,
        "expected an answer that begins with hex: 4b, seen bytes 4a 00 00 00",
    );
}

//! UDP: only an expected answer to something sent tells that a target is there.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use super::*;

const SHORT: (&str, &str) = ("CONNECTION_TIMEOUT", "1s");
const NEGATIVE: (&str, &str) = ("CONNECTION_TARGET_UNREACHABLE", "true");
const PING: [(&str, &str); 2] = [("SEND", "ping"), ("EXPECT", "^pong")];

/// Answers each datagram with what `respond` makes of it.
fn serve(address: &str, respond: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    let socket = UdpSocket::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            for answer in respond(&buffer[..length]) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    });
    address
}

fn run(target: SocketAddr, vars: &[(&str, &str)]) -> (String, Verdict) {
    let target = format!("udp://{target}");
    let verdict = check(&PING)
        .with(&[("CONNECTION_TARGET", &target)])
        .with(vars)
        .run();
    (target, verdict)
}

#[test]
fn an_expected_answer_passes() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let pong = serve(address, |_| vec![b"pong".to_vec()]);
        run(pong, &[]).1.passed();
        run(pong, &[("SEND", "hex: 70"), ("EXPECT", "prefix:hex:706f")])
            .1
            .passed();
    }
    let named = serve("127.0.0.1:0", |_| vec![b"pong".to_vec()]).port();
    probe(
        &format!("udp://localhost:{named}"),
        &[&PING[..], &[("IP_FAMILY", "4")]].concat(),
    )
    .passed();
}

#[test]
fn several_exchanges_are_possible() {
    let counter = serve("127.0.0.1:0", |sent| {
        vec![sent.to_vec(), [b"after ", sent].concat()]
    });
    let steps = "send one\nexpect ^one$\nexpect ^after one$\nsend two\nexpect t\nexpect wo";
    probe(&format!("udp://{counter}"), &[("DIALOGUE", steps)]).passed();
    let target = format!("udp://{counter}");
    probe(
        &target,
        &[
            SHORT,
            ("DIALOGUE", "send one\nexpect one\nexpect one\nexpect one"),
        ],
    )
    .failed_at(
        &target,
        "expected an answer that matches one, seen no further answer within 1s",
    );
}

#[test]
fn silence_a_wrong_answer_and_nobody_are_told_apart() {
    let silent = serve("127.0.0.1:0", |_| vec![]);
    let (shown, verdict) = run(silent, &[SHORT]);
    verdict.failed_at(&shown, "expected an answer, seen no answer within 1s");
    let wrong = serve("127.0.0.1:0", |_| vec![b"what?".to_vec()]);
    let (shown, verdict) = run(wrong, &[]);
    verdict.failed_at(
        &shown,
        "expected an answer that matches ^pong, seen \"what?\"",
    );
    let echo = serve("127.0.0.1:0", |sent| vec![sent.to_vec()]);
    let (shown, verdict) = run(echo, &[]);
    verdict.failed_at(
        &shown,
        "expected an answer that matches ^pong, seen what was sent, unchanged",
    );
    let empty = serve("127.0.0.1:0", |_| vec![vec![]]);
    let (shown, verdict) = run(empty, &[]);
    verdict.failed_at(
        &shown,
        "expected an answer that matches ^pong, seen an empty datagram",
    );
    let nobody = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (shown, verdict) = run(nobody, &[]);
    verdict.failed_at(&shown, "expected an answer, seen connection refused");
}

#[test]
fn an_answer_from_elsewhere_does_not_count() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (_, peer) = socket.recv_from(&mut [0; 64]).unwrap();
        other.send_to(b"pong", peer).unwrap();
        thread::sleep(PATIENCE);
    });
    let (shown, verdict) = run(address, &[SHORT]);
    verdict.failed_at(&shown, "expected an answer, seen no answer within 1s");
}

#[test]
fn the_negative_test_passes_only_in_silence() {
    let nobody = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    run(nobody, &[NEGATIVE]).1.passed();
    let silent = serve("127.0.0.1:0", |_| vec![]);
    run(silent, &[NEGATIVE, SHORT]).1.passed();
    for respond in [
        (|_| vec![b"pong".to_vec()]) as fn(&[u8]) -> Vec<Vec<u8>>,
        |_| vec![b"what?".to_vec()],
    ] {
        let (shown, verdict) = run(serve("127.0.0.1:0", respond), &[NEGATIVE]);
        verdict.failed_at(
            &shown,
            "expected no answer, seen one (CONNECTION_TARGET_UNREACHABLE is set)",
        );
    }
}

#[test]
fn datagrams_come_from_the_source_address() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (_, peer) = socket.recv_from(&mut [0; 64]).unwrap();
        let answer = if peer.ip().to_string() == "127.0.0.78" {
            "pong"
        } else {
            "who?"
        };
        socket.send_to(answer.as_bytes(), peer).unwrap();
    });
    run(address, &[("SOURCE_ADDRESS", "127.0.0.78")]).1.passed();
}

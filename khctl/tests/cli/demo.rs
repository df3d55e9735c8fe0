use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::support::{LIMIT, finish, khctl, ran};

#[test]
fn the_demo_tells_its_story_and_ends_well() {
    let ran = ran(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        !ran.stdout.contains('\x1b'),
        "plain lines on a pipe: {}",
        ran.stdout
    );
    let mut rest = ran.stdout.as_str();
    for text in [
        "status page http://127.0.0.1:",
        "/json",
        "pod shop/web-",
        "v2 asks the Service web 6 times a run",
        "web: http-check passed",
        "goes bad",
        "web: http-check FAILED: pod shop/web-",
        "restartPods of pod shop/web-",
        ": Succeeded: Verified",
        "this revision is spoilt",
        "restartPods of pod shop/web-",
        ": Failed: VerificationFailed",
        "rolloutRestart of deployment shop/web",
        ": Succeeded: Verified",
        "the database goes down",
        "policy shop/web holds back: UpstreamUnhealthy",
        "the database is back",
        "a victim of its database left alone",
        "web (v2)",
        "db (v3)",
        "REMEDIATION",
        "2 of 3 remediations of policy shop/web helped (66%)",
    ] {
        let at = rest
            .find(text)
            .unwrap_or_else(|| panic!("{text:?} in order in\n{}", ran.stdout));
        rest = &rest[at + text.len()..];
    }
    let failed = |source: &str| {
        ran.stdout
            .lines()
            .find(|line| {
                line.contains(&format!("s {source} ")) && line.contains("web: http-check FAILED")
            })
            .unwrap_or_else(|| panic!("a failure of {source} in\n{}", ran.stdout))
            .to_owned()
    };
    assert!(failed("v2").contains("503"), "{}", ran.stdout);
}

#[test]
fn ports_that_are_taken_are_said_before_anything_starts() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let last = taken.local_addr().unwrap().port();
    let first = (last - 3).to_string();
    let ran = ran(&["demo", "--port", &first]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    for text in [
        format!("--port {first} needs ports {first} to {last}"),
        format!("{last} (the remediator) is in use"),
    ] {
        assert!(ran.stderr.contains(&text), "{text} in {ran:?}");
    }
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
}

#[test]
fn a_demo_whose_remediator_cannot_start_says_why() {
    // Somebody else may take a port in the moment between, and this test may come too late to take one itself.
    let begun = (0..5).find_map(|_| {
        let first = free_ports();
        let mut child = khctl(&["demo", "--port", &first.to_string()])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Once it says something it has tried the ports; the remediator comes after the applications.
        let said = lines.read_line(&mut String::new()).unwrap() > 0;
        match TcpListener::bind(("127.0.0.1", first + 3)) {
            Ok(taken) if said => Some((child, lines, taken)),
            _ => {
                drop(lines);
                eprintln!("{:?}", finish(child));
                None
            }
        }
    });
    let (child, mut lines, taken) = begun.unwrap();
    let mut stdout = String::new();
    lines.read_to_string(&mut stdout).unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, Some(1), "{stdout}{ran:?}");
    let why = format!("cannot listen on {}", taken.local_addr().unwrap());
    let (log, end) = ran.stderr.trim_end().rsplit_once('\n').unwrap();
    assert!(
        log.starts_with("khctl demo: the remediator wrote: ") && log.contains(&why),
        "{ran:?}"
    );
    assert_eq!(
        end,
        "khctl: the demo failed: the remediator ended as soon as it was started"
    );
    assert!(!stdout.contains("FAILED"), "{stdout}");
}

/// The first of four ports that nobody uses now, below those that connections are given.
fn free_ports() -> u16 {
    let from = 20_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 4;
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (from..32_000)
        .step_by(4)
        .find(|first| (*first..first + 4).all(is_free))
        .unwrap()
}

#[test]
fn a_demo_that_nobody_reads_any_more_ends() {
    let mut child = khctl(&["demo", "--keep"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let ran = finish(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
}

#[test]
fn a_demo_that_is_kept_can_be_looked_into_and_leaves_nothing_behind() {
    let mut child = khctl(&["demo", "--keep"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = |text: &str| loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("expected a line with {text:?} before the end"))
            .unwrap();
        if line.contains(text) {
            return line;
        }
    };
    let database = told("pod shop/db-");
    let database = database.split("http://").nth(1).unwrap().to_owned();
    let kubectl = told("kubectl --kubeconfig ");
    let kubeconfig = Path::new(kubectl.split_whitespace().nth(2).unwrap()).to_owned();
    let mut url = |text: &str| {
        let hint = told(text);
        let mut words = hint.split_whitespace();
        words
            .find(|word| word.starts_with("http:"))
            .unwrap()
            .to_owned()
    };
    let (page, metrics, broken) = (url("curl "), url("curl "), url("/control/break"));

    let directory = kubeconfig.parent().unwrap().to_owned();
    let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the token is for this user only");
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&kubeconfig).unwrap()).unwrap();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let pods = request("GET", &format!("{server}/api/v1/namespaces/shop/pods"));
    assert!(pods.contains("\"web-"), "{pods}");
    let (front, _secret) = server.rsplit_once('/').unwrap();
    let refused = request("GET", &format!("{front}/api/v1/namespaces/shop/pods"));
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");

    for (url, text) in [
        (page, "\"CheckDetails\""),
        (metrics, "\nkuberhealer_leader 1\n"),
    ] {
        let answer = request("GET", &url);
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.contains(text),
            "{url}: {answer}"
        );
    }
    // What is pasted a second time works too, though the first pod is gone.
    for _ in 0..2 {
        let answer = request("POST", &broken);
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        told("web: http-check FAILED: pod shop/web-");
        told(": Succeeded: Verified");
    }

    let kill = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let ran = finish(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!directory.exists(), "{}", directory.display());
    let (address, _) = database.rsplit_once('/').unwrap();
    assert!(TcpStream::connect(address).is_err(), "the pods are gone");
}

/// One HTTP request; the whole answer.
fn request(method: &str, url: &str) -> String {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "{method} /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

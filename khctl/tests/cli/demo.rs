use super::support::ran;

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
        "pod shop/web-2 runs",
        "http-check passed",
        "pod shop/web-2 breaks",
        "http-check FAILED: ",
        "pod shop/web-2 heals",
        "http-check passed",
        "both checks saw the failure and the recovery",
        "v2 KuberhealthyCheck",
        "v3 HealthCheck",
    ] {
        let at = rest
            .find(text)
            .unwrap_or_else(|| panic!("{text:?} in order in\n{}", ran.stdout));
        rest = &rest[at + text.len()..];
    }
    let line = |source: &str| {
        ran.stdout
            .lines()
            .find(|line| line.contains(&format!("s {source} ")) && line.contains("FAILED"))
            .unwrap_or_else(|| panic!("a failure of {source} in\n{}", ran.stdout))
            .to_owned()
    };
    assert!(line("v3").contains("pod shop/web-2: "), "{}", ran.stdout);
    assert!(line("v2").contains("503"), "{}", ran.stdout);
}

//! The commands of the documents: each is run as it is written, or known with what runs it instead.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sandbox::node::{Image, Images, PodNetwork};
use sandbox::{Options, Sandbox};

use super::files::{folder, pasted};
use crate::line::Line;

/// What a command is not run as it is written for.
struct Known {
    document: &'static str,
    /// How it begins.
    command: &'static str,
    /// The file that covers it, and what of it.
    covered: &'static str,
}

const fn known(document: &'static str, command: &'static str, covered: &'static str) -> Known {
    Known {
        document,
        command,
        covered,
    }
}

#[rustfmt::skip]
const KNOWN: &[Known] = &[
    known("README.md", "cargo run -p khctl -- demo", ".ci/run: as it is written"),
    known("README.md", "cargo test --workspace", ".ci/run: as it is written"),
    known("README.md", "cargo run -p khctl -- check http", "khctl/tests/cli/check.rs: on loopback"),
    known("README.md", "cargo run -p scenarios --bin bench", "tests/src/bin/bench/main.rs: by hand, it builds in the profile dist"),
    known("docs/benchmarks.md", "cargo run -p scenarios --bin ", "tests/src/bin/bench/main.rs: by hand, it builds in the profile dist"),
    // kubectl sends protobuf for it too.
    known("docs/alerts-in.md", "curl --oauth2-bearer", "remediator/tests/cluster/process/hooks/mod.rs: such deliveries"),
    known("docs/alerts-in.md", "kubectl --namespace kuberhealer create secret", "tests/tests/scenarios/manifests/commands.rs: applied"),
    known("docs/install.md", "helm upgrade --install kuberhealthy", "scripts/e2e: on a real cluster, it takes the charts from the network"),
    // The sandbox takes no protobuf, which Helm sends.
    known("docs/install.md", "helm upgrade --install kuberhealer manifests/helm", "scripts/e2e: on a real cluster"),
    known("docs/install.md", "helm upgrade kuberhealer manifests/helm", "scripts/e2e: on a real cluster"),
    known("docs/install.md", "helm uninstall", "scripts/e2e: on a real cluster"),
    known("docs/notifications.md", "remediator --notify-config", "remediator/tests/cluster/process/notifications.rs: with receivers on loopback"),
    known("docs/notifications.md", "remediator notify-test", "remediator/tests/cluster/process/notify_test.rs: with receivers on loopback"),
    known("docs/operations.md", "cargo run -p remediator", "remediator/tests/cluster/process/startup.rs: on another port"),
    known("docs/operations.md", "curl http://127.0.0.1:9090/", "remediator/tests/cluster/process/startup.rs: on another port"),
    known("docs/remediation.md", "cargo run -p khctl -- demo --keep", "tests/tests/scenarios/manifests/commands.rs: the program itself"),
    known("docs/remediation.md", "export KUBECONFIG=", "tests/tests/scenarios/manifests/commands.rs: the file that it prints"),
    known("docs/write-a-check.md", "curl --fail", "tests/tests/scenarios/main.rs: as it is written"),
    known("docs/checks/dependency-check.md", "cargo run -p khctl -- check dependency", "checks/tests/binaries/dependency/input.rs: on loopback"),
    known("docs/checks/exec-check.md", "cargo run -p khctl -- check exec", "checks/tests/binaries/exec/processes.rs: the program itself"),
    known("docs/checks/exec-check.md", "kubectl proxy", "scripts/e2e: needs pods that commands can be run in"),
    known("docs/checks/http-check.md", "cargo run -p khctl -- check http", "khctl/tests/cli/check.rs: on another port"),
    known("docs/checks/log-check.md", "cargo run -p khctl -- check log", "checks/tests/binaries/log/loki.rs: on another port"),
    known("docs/checks/pod-restarts-check.md", "cargo run -p khctl -- check pod-restarts", "checks/tests/binaries/restarts/report.rs: on another port"),
    known("docs/checks/tcp-check.md", "cargo run -p khctl -- check tcp", "checks/tests/binaries/tcp/connections.rs: on loopback"),
];

/// All commands of these are run, but for the known ones.
const RUN: [&str; 3] = [
    "docs/install.md",
    "docs/operations.md",
    "docs/remediation.md",
];

#[test]
fn each_command_is_run_or_known_with_what_covers_it() {
    let mut used = BTreeSet::new();
    let mut unlisted = Vec::new();
    for document in documents() {
        for command in commands(&document) {
            match KNOWN.iter().position(|known| known.is(&document, &command)) {
                Some(known) => drop(used.insert(known)),
                None if RUN.contains(&document.as_str()) => {}
                None => unlisted.push(format!("{document}: {command}")),
            }
        }
    }
    assert!(
        unlisted.is_empty(),
        "no test runs these: add them to KNOWN with what does: {unlisted:#?}"
    );
    for (number, known) in KNOWN.iter().enumerate() {
        let (document, command) = (known.document, known.command);
        assert!(used.contains(&number), "{document} has no {command:?}");
        let (file, _) = known.covered.split_once(": ").unwrap();
        assert!(root().join(file).exists(), "{document}: {file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_installs_it_for_v2_pastes_what_works() {
    install(Line::V2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_installs_it_for_v3_pastes_what_works() {
    install(Line::V3).await;
}

/// Installs, operates and removes.
async fn install(line: Line) {
    if !["kubectl", "openssl"].into_iter().all(is_there) {
        eprintln!("skipped: kubectl or openssl is not there");
        return;
    }
    let (sandbox, directory) = fresh().await;
    let other = match line {
        Line::V2 => "manifests/samples/shop/v3",
        Line::V3 => "manifests/samples/shop/v2",
    };
    let mut script = Vec::new();
    for command in to_run("docs/install.md") {
        // What there is to be operated goes in the end.
        if command.starts_with("kubectl delete remediationpolicies") {
            script.extend(to_run("docs/operations.md"));
            let secret = commands("docs/alerts-in.md").into_iter();
            let secret = secret.filter(|command| command.starts_with("kubectl"));
            script.extend(secret.map(applied));
        }
        if !command.ends_with(other) {
            script.push(command);
        }
    }
    run(script, &directory.path().join("kubeconfig")).await;
    sandbox.stop().await;
}

/// What `kubectl create` would create, by `kubectl apply`, which sends JSON.
fn applied(create: String) -> String {
    assert!(create.contains(" create "), "{create}");
    format!("{create} --dry-run=client --output json | kubectl apply -f -")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_the_guide_to_remediation_pastes_what_works() {
    if !["kubectl", "curl"].into_iter().all(is_there) {
        eprintln!("skipped: kubectl or curl is not there");
        return;
    }
    assert_eq!(pasted("remediation.md").len(), 1);
    let mut demo = Command::new(crate::program("khctl"))
        .args(["demo", "--keep"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let kubeconfig = lines.find_map(|line| {
        let (_, rest) = line.split_once("kubectl --kubeconfig ")?;
        rest.split_whitespace().next().map(PathBuf::from)
    });
    // A demo that nobody reads ends.
    let rest = std::thread::spawn(move || lines.for_each(drop));
    let kubeconfig = kubeconfig.expect("the demo failed");
    let guide = run(to_run("docs/remediation.md"), &kubeconfig);
    let guide = std::panic::AssertUnwindSafe(guide);
    let ended = futures::FutureExt::catch_unwind(guide).await;
    // Killed, it would leave its processes behind.
    let id = nix::unistd::Pid::from_raw(demo.id().cast_signed());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    demo.wait().unwrap();
    rest.join().unwrap();
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// A cluster with both Kuberhealthys and nothing else, whose nodes have the images.
async fn fresh() -> (Sandbox, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let remediator = super::installed::image().env("KUBECONFIG", kubeconfig.to_str().unwrap());
    let web = ["demo-web", "--ip", "$(SANDBOX_POD_IP)"].map(str::to_owned);
    let web = Image::program([crate::program("khctl")].into_iter().chain(web));
    let mut images = Images::new()
        .with("remediator", remediator)
        .with("nginx-unprivileged", web);
    for check in checks::CHECKS {
        images = images.with(check.name, Image::program([crate::program(check.name)]));
    }
    let mut options = Options::default();
    options.node.images = images;
    options.node.network = PodNetwork::apart();
    let sandbox = Sandbox::start(options).await.unwrap();
    fs::write(&kubeconfig, sandbox.kubeconfig()).unwrap();
    (sandbox, directory)
}

/// Runs commands one after the other in one shell, which ends at the first that fails.
async fn run(commands: Vec<String>, kubeconfig: &Path) {
    assert!(commands.len() > 5, "{commands:#?}");
    let script = commands.join("\n");
    let shell = tokio::process::Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .current_dir(root())
        .env("KUBECONFIG", kubeconfig)
        .env("PATH", path())
        // kubectl keeps files there.
        .env("HOME", kubeconfig.parent().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let limit = std::time::Duration::from_secs(300);
    let ran = tokio::time::timeout(limit, shell)
        .await
        .unwrap_or_else(|_| panic!("not done in {limit:?}: {script}"))
        .unwrap();
    assert!(
        ran.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

impl Known {
    fn is(&self, document: &str, command: &str) -> bool {
        self.document == document && command.starts_with(self.command)
    }
}

fn root() -> PathBuf {
    folder().join("..").canonicalize().unwrap()
}

/// The documents, as paths from the root.
fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned(), "khclient/README.md".to_owned()];
    for folder in ["docs", "docs/checks"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "md")
        });
        documents.extend(names.map(|name| format!("{folder}/{name}")));
    }
    assert!(documents.len() > 10, "{documents:?}");
    documents
}

/// The commands of a document that are run as they are written.
fn to_run(document: &str) -> Vec<String> {
    let known = |command: &String| KNOWN.iter().any(|known| known.is(document, command));
    commands(document)
        .into_iter()
        .filter(|command| !known(command))
        .collect()
}

/// The commands in the blocks `sh` of a document, each with the lines that it goes on in, without comments.
pub(crate) fn commands(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let mut commands = Vec::new();
    for block in text.split("\n```sh\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let mut command = match line.split_once("  #") {
                Some((command, _)) => command.trim_end().to_owned(),
                None => line.to_owned(),
            };
            if command.trim().is_empty() || command.starts_with('#') {
                continue;
            }
            while command.ends_with('\\') {
                command = format!("{command}\n{}", lines.next().unwrap());
            }
            if command.ends_with("<<'EOF'") {
                for line in lines.by_ref() {
                    command = format!("{command}\n{line}");
                    if line == "EOF" {
                        break;
                    }
                }
            }
            commands.push(command);
        }
    }
    commands
}

/// Where programs are looked for: first where `.ci/tools` unpacks them.
fn path() -> String {
    let tools = root().join("target/tools/bin");
    format!(
        "{}:{}",
        tools.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

pub(crate) fn is_there(program: &str) -> bool {
    path()
        .split(':')
        .any(|folder| Path::new(folder).join(program).exists())
}

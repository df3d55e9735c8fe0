//! An API server that lists pods and speaks the exec protocol, as scripted.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Bytes, Message, WebSocket};
use url::Url;

use super::*;

pub(crate) const V5: &str = "v5.channel.k8s.io";
pub(crate) const V4: &str = "v4.channel.k8s.io";

/// What an exec comes to.
#[derive(Clone)]
pub(crate) enum Reply {
    /// No upgrade but this answer.
    Refuse(u16, String),
    /// An upgrade to this protocol, and then these frames.
    Speak(String, Vec<Frame>),
    /// An upgrade with these headers, whatever the protocol asks for.
    Odd(Vec<(&'static str, String)>),
    /// No answer at all, until the other side has gone.
    Silence,
    /// Each in its turn, the last for all that follow.
    Turns(Vec<Reply>),
}

/// A step of a conversation.
#[derive(Clone)]
pub(crate) enum Frame {
    Data(u8, Vec<u8>),
    Ping,
    Close(u16, String),
    /// Nothing, until the other side has gone.
    Wait,
    /// The connection ends without a close frame.
    Drop,
    /// Nothing, until so many execs are under way.
    Together(usize),
}

/// The frames of a command that writes `stdout` and ends with `code`.
pub(crate) fn frames(stdout: &str, code: i32) -> Vec<Frame> {
    let status = match code {
        0 => json!({"metadata": {}, "status": "Success"}),
        code => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with exit code {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
    };
    let data = |channel, text: &str| Frame::Data(channel, text.as_bytes().to_vec());
    vec![
        data(1, ""),
        data(1, stdout),
        data(3, &status.to_string()),
        Frame::Close(1000, String::new()),
    ]
}

/// A command that ends with `code`, over the newest protocol.
pub(crate) fn ends(code: i32) -> Reply {
    Reply::Speak(V5.to_owned(), frames("", code))
}

/// A recording of a real API server.
pub(crate) struct Recording {
    pub(crate) offered: String,
    pub(crate) command: Vec<String>,
    pub(crate) container: Option<String>,
    pub(crate) reply: Reply,
}

impl Recording {
    pub(crate) fn names() -> Vec<String> {
        let files = std::fs::read_dir(folder()).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn read(name: &str) -> Recording {
        let json: Value =
            serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap();
        let url = Url::parse("http://api")
            .unwrap()
            .join(json["path"].as_str().unwrap())
            .unwrap();
        let reply = match json["status"].as_u64() {
            Some(status) => {
                let body = json["body"]
                    .as_str()
                    .map_or_else(|| json["body"].to_string(), str::to_owned);
                Reply::Refuse(status.try_into().unwrap(), body)
            }
            None => {
                let close = Frame::Close(
                    json["close"]["code"].as_u64().unwrap().try_into().unwrap(),
                    String::new(),
                );
                let mut frames = recorded_frames(json["frames"].as_array().unwrap());
                frames.push(close);
                Reply::Speak(json["accepted"].as_str().unwrap().to_owned(), frames)
            }
        };
        Recording {
            offered: json["offered"][0].as_str().unwrap().to_owned(),
            command: parameters(&url, "command"),
            container: parameters(&url, "container").pop(),
            reply,
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/exec")
}

/// The frames as they were, those that were left out made up: the lines between, each a frame of its own.
fn recorded_frames(recorded: &[Value]) -> Vec<Frame> {
    let text = |frame: &Value| frame["text"].as_str().map(str::to_owned);
    let number = |line: Option<&str>| {
        line.unwrap()
            .trim_start_matches("line")
            .parse::<usize>()
            .unwrap()
    };
    let mut frames = Vec::new();
    for (at, frame) in recorded.iter().enumerate() {
        match text(frame) {
            Some(text) => frames.push(Frame::Data(
                frame["channel"].as_u64().unwrap() as u8,
                text.into_bytes(),
            )),
            None => {
                let before = number(text(&recorded[at - 1]).unwrap().lines().last());
                let after = number(text(&recorded[at + 1]).unwrap().lines().next());
                frames.extend(
                    (before + 1..after).map(|n| Frame::Data(1, format!("line{n}\n").into_bytes())),
                );
            }
        }
    }
    frames
}

fn parameters(url: &Url, name: &str) -> Vec<String> {
    url.query_pairs()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// A running pod with one container, `main`.
pub(crate) fn pod(name: &str) -> Value {
    pod_with(name, &["main"], json!({}))
}

pub(crate) fn pod_with(name: &str, containers: &[&str], annotations: Value) -> Value {
    let containers: Vec<Value> = containers
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}"), "annotations": annotations},
        "spec": {"containers": containers},
        "status": {"phase": "Running"},
    })
}

/// An exec as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) pod: String,
    pub(crate) url: Url,
    pub(crate) request: Seen,
}

impl Asked {
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        parameters(&self.url, name)
    }
}

/// The API server.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) server: Option<Server>,
    state: Arc<State>,
}

struct State {
    /// What each list answers: one after the other, the last again and again.
    lists: Vec<Vec<u8>>,
    listed: AtomicUsize,
    replies: HashMap<String, Reply>,
    turns: Mutex<HashMap<String, usize>>,
    asked: Mutex<Vec<Asked>>,
    /// Execs under way, and the most there were at a time.
    open: Mutex<(usize, usize)>,
    opened: Condvar,
}

/// The body of a list.
pub(crate) fn list(pods: &[Value]) -> Vec<u8> {
    let body = json!({"kind": "PodList", "metadata": {}, "items": pods}).to_string();
    answer(200, &[("Content-Type", "application/json")], &body)
}

impl Api {
    /// Pods by name, each with what an exec in it comes to.
    pub(crate) fn with(pods: &[(&str, Reply)]) -> Api {
        let items: Vec<Value> = pods.iter().map(|(name, _)| pod(name)).collect();
        Api::listing(vec![list(&items)], pods)
    }

    pub(crate) fn listing(lists: Vec<Vec<u8>>, replies: &[(&str, Reply)]) -> Api {
        let mut api = Api::silent(lists, replies);
        let handler = api.clone();
        api.server = Some(Server::on("127.0.0.1:0", move |_, seen, stream| {
            handler.handle(&seen, stream)
        }));
        api
    }

    /// Without a listener, for one of another kind to hand requests to [`Api::handle`].
    pub(crate) fn silent(lists: Vec<Vec<u8>>, replies: &[(&str, Reply)]) -> Api {
        let replies = replies
            .iter()
            .map(|(name, reply)| ((*name).to_owned(), reply.clone()));
        let state = State {
            lists,
            listed: AtomicUsize::new(0),
            replies: replies.collect(),
            turns: Mutex::default(),
            asked: Mutex::default(),
            open: Mutex::default(),
            opened: Condvar::new(),
        };
        Api {
            server: None,
            state: Arc::new(state),
        }
    }

    /// A run of `command` in the pods, with the API server given.
    pub(crate) fn exec(&self, command: &str) -> Check {
        let url = self.server.as_ref().unwrap().url("");
        exec(&[
            ("EXEC_COMMAND", command),
            ("POD_SELECTOR", "app=web"),
            ("KUBE_API_URL", &url),
        ])
    }

    /// The execs so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The most execs that were under way at a time.
    pub(crate) fn most_open(&self) -> usize {
        self.state.open.lock().unwrap().1
    }

    pub(crate) fn handle(&self, seen: &Seen, stream: &mut dyn Stream) {
        let url = Url::parse("http://api").unwrap().join(&seen.path).unwrap();
        assert_eq!(seen.method, "GET");
        if url.path() == "/api/v1/namespaces/shop/pods" {
            let number = self.state.listed.fetch_add(1, Ordering::SeqCst);
            let number = number.min(self.state.lists.len() - 1);
            stream.write_all(&self.state.lists[number]).unwrap();
            return;
        }
        let pod = url
            .path()
            .strip_prefix("/api/v1/namespaces/shop/pods/")
            .and_then(|path| path.strip_suffix("/exec"));
        let pod = pod.unwrap().to_owned();
        self.state.asked.lock().unwrap().push(Asked {
            pod: pod.clone(),
            url,
            request: seen.clone(),
        });
        let under_way = UnderWay::begin(&self.state);
        let mut reply = self.state.replies[&pod].clone();
        if let Reply::Turns(replies) = reply {
            let mut turns = self.state.turns.lock().unwrap();
            let turn = turns.entry(pod).or_default();
            reply = replies[(*turn).min(replies.len() - 1)].clone();
            *turn += 1;
        }
        self.reply(reply, seen, stream, under_way);
    }

    fn reply(&self, reply: Reply, seen: &Seen, stream: &mut dyn Stream, under_way: UnderWay<'_>) {
        match reply {
            Reply::Refuse(status, body) => stream.write_all(&answer(status, &[], &body)).unwrap(),
            Reply::Silence => wait_for_end(stream),
            Reply::Odd(headers) => stream.write_all(&upgrade(&headers)).unwrap(),
            Reply::Turns(_) => unreachable!("turns are not nested"),
            Reply::Speak(protocol, frames) => {
                // Best first, and nothing is asked of the command but its output.
                assert_eq!(seen.header("sec-websocket-protocol"), format!("{V5}, {V4}"));
                assert_eq!(seen.header("sec-websocket-version"), "13");
                let accept = derive_accept_key(seen.header("sec-websocket-key").as_bytes());
                let headers = [
                    ("Sec-WebSocket-Accept", accept),
                    ("Sec-WebSocket-Protocol", protocol),
                ];
                stream.write_all(&upgrade(&headers)).unwrap();
                self.speak(frames, stream, under_way);
            }
        }
    }

    fn speak(&self, frames: Vec<Frame>, stream: &mut dyn Stream, under_way: UnderWay<'_>) {
        let mut under_way = Some(under_way);
        let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
        for frame in frames {
            // The other side may have all it needs, and leave.
            let sent = match frame {
                Frame::Data(channel, bytes) => {
                    // The other side is done with this one as soon as it knows how it ended.
                    if channel == 3 && !bytes.is_empty() {
                        drop(under_way.take());
                    }
                    socket.send(Message::binary([vec![channel], bytes].concat()))
                }
                Frame::Ping => {
                    socket
                        .send(Message::Ping(Bytes::from_static(b"there?")))
                        .unwrap();
                    assert!(matches!(socket.read(), Ok(Message::Pong(_))));
                    Ok(())
                }
                Frame::Close(code, reason) => {
                    let _ = socket.close(Some(CloseFrame {
                        code: CloseCode::from(code),
                        reason: reason.into(),
                    }));
                    while socket.read().is_ok() {}
                    return;
                }
                Frame::Wait => {
                    while socket.read().is_ok() {}
                    return;
                }
                Frame::Drop => return,
                Frame::Together(count) => {
                    let open = self.state.open.lock().unwrap();
                    let wait = self
                        .state
                        .opened
                        .wait_timeout_while(open, PATIENCE, |open| open.1 < count);
                    assert!(
                        !wait.unwrap().1.timed_out(),
                        "{count} execs were never under way at a time"
                    );
                    Ok(())
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

/// Counts an exec for as long as it takes.
struct UnderWay<'a>(&'a State);

impl UnderWay<'_> {
    fn begin(state: &State) -> UnderWay<'_> {
        let mut open = state.open.lock().unwrap();
        *open = (open.0 + 1, open.1.max(open.0 + 1));
        state.opened.notify_all();
        UnderWay(state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.open.lock().unwrap().0 -= 1;
    }
}

fn upgrade(headers: &[(&'static str, String)]) -> Vec<u8> {
    let mut text =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            .to_owned();
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n").into_bytes()
}

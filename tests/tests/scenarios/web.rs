//! A web service that answers what it is told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Instead of a status: never answer.
const HANG: u16 = 0;

pub(crate) struct Web {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    status: AtomicU16,
    requests: AtomicUsize,
}

impl Web {
    /// Listens on a free port and answers 200. Its thread ends with the process.
    pub(crate) fn start() -> Web {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            requests: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Web { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Answers nothing from now on.
    pub(crate) fn hang(&self) {
        self.answer(HANG);
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub(crate) async fn wait_for_requests(&self, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.requests() < wanted {
            assert!(
                Instant::now() < deadline,
                "{} requests came",
                self.requests()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Shared {
    /// One request, whose head fits into one read on loopback, and its answer.
    fn serve(&self, mut stream: TcpStream) {
        let mut head = [0; 8192];
        if !matches!(stream.read(&mut head), Ok(read) if read > 0) {
            return;
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let status = self.status.load(Ordering::SeqCst);
        if status == HANG {
            // Until the other side gives up.
            while matches!(stream.read(&mut head), Ok(read) if read > 0) {}
            return;
        }
        let _ = write!(
            stream,
            "HTTP/1.1 {status} .\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
}

//! The HTTP client and the TLS library log through the crate `log`. Whoever listens there at every level learns no secret.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod loopback;

use loopback::{Server, answers, certificate};
use protocol::http::{HttpSettings, Method, ProxySettings, Request, Transport, UreqTransport};
use protocol::secret::Secret;
use protocol::trust::Trust;
use std::sync::Mutex;

static SHOWN: Mutex<String> = Mutex::new(String::new());

struct Everything;

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!(
            "{} {}: {}\n",
            record.level(),
            record.target(),
            record.args()
        );
        SHOWN.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

#[test]
fn no_secret_is_logged_at_any_level() {
    log::set_logger(&Everything).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let (pem, config) = certificate();
    let folder = std::env::temp_dir().join(format!("dsmith-logs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ca.pem"), pem).unwrap();
    let answer = || {
        answers(
            "200 OK",
            "x-token: SECRET-header\r\n",
            "{\"access_token\":\"SECRET-answer\"}",
        )
    };
    let server = Server::with_tls(vec![answer()], config);
    let plain = Server::new(vec![
        answer(),
        answer(),
        answers("302 Found", "Location: /x?SECRET-place\r\n", ""),
    ]);
    let proxy = Server::new(vec![answers(
        "407 Proxy Authentication Required",
        "",
        "SECRET-proxy-page",
    )]);
    let post = |url: String| Request {
        method: Method::Post,
        url,
        headers: vec![(
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        )],
        bearer: Some(Secret::new("SECRET-bearer")),
        body: Some(Secret::new("client_secret=SECRET-form")),
    };
    let mut get = Request::get(plain.url("/b"));
    get.bearer = Some(Secret::new("SECRET-bearer"));
    let direct = UreqTransport::new(HttpSettings {
        trust: Trust::with(Some(folder.join("ca.pem"))),
        ..HttpSettings::default()
    })
    .unwrap();
    direct
        .send(&post(format!(
            "https://localhost:{}/",
            server.address.port()
        )))
        .unwrap();
    direct.send(&post(plain.url("/a"))).unwrap();
    direct.send(&get).unwrap();
    direct.send(&get).unwrap_err();
    let proxied = UreqTransport::new(HttpSettings {
        proxy: Some(ProxySettings {
            host: "127.0.0.1".to_owned(),
            port: proxy.address.port(),
            credentials: Some(("user".to_owned(), Secret::new("SECRET-password"))),
        }),
        ..HttpSettings::default()
    })
    .unwrap();
    proxied.send(&get).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    let shown = SHOWN.lock().unwrap();
    assert!(shown.contains("ureq"), "nothing was logged");
    // "user:SECRET-password" in base 64.
    for secret in ["SECRET", "dXNlcjpTRUNSRVQtcGFzc3dvcmQ"] {
        let line = shown.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}

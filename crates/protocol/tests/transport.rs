//! The transport against real sockets: what a server, a proxy or the way between them can do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod loopback;

use loopback::{Answer, Server, answers, certificate, read_request, says};
use protocol::http::{
    HttpSettings, Method, ProxySettings, Request, Response, Transport, TransportError,
    UreqTransport,
};
use protocol::secret::Secret;
use protocol::trust::Trust;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Short enough for a test, long enough for a busy machine.
fn settings() -> HttpSettings {
    HttpSettings {
        max_body: 100_000,
        first_byte: Duration::from_millis(700),
        total: Duration::from_millis(1500),
        ..HttpSettings::default()
    }
}

fn ask(server: &Server, path: &str) -> Result<Response, TransportError> {
    let mut request = Request::get(server.url(path));
    request.bearer = Some(Secret::new("the-token"));
    UreqTransport::new(settings()).unwrap().send(&request)
}

fn ask_once(answer: Answer) -> Result<Response, TransportError> {
    ask(&Server::new(vec![answer]), "/api/alerts")
}

#[test]
fn a_request_carries_the_token_and_the_answer_comes_whole() {
    let server = Server::new(vec![answers(
        "429 Too Many",
        "Retry-After: 2.128\r\n",
        "[1]",
    )]);
    let response = ask(&server, "/api/alerts?$filter=a%20ge%201").unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (429, b"[1]".as_slice())
    );
    assert_eq!(response.header("retry-after"), Some("2.128"));
    let request = server.request();
    assert!(
        request.starts_with("GET /api/alerts?$filter=a%20ge%201 HTTP/1.1\r\n"),
        "{request}"
    );
    let head = request.to_ascii_lowercase();
    assert!(
        head.contains("\r\nauthorization: bearer the-token\r\n"),
        "{request}"
    );
    assert!(head.contains("\r\nuser-agent: dsmith/"), "{request}");
}

#[test]
fn an_answer_that_ends_early_is_broken_off_and_never_taken_for_whole() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"a\":1}]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[{\"a\":1}]\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[{\"a\"",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ];
    for case in cases {
        let error = ask_once(says(case)).unwrap_err();
        assert!(
            matches!(
                error,
                TransportError::Broken(_) | TransportError::Protocol(_)
            ),
            "{case:?}: {error:?}"
        );
    }
}

#[test]
fn a_connection_that_is_reset_is_broken_off() {
    let reset: Answer = Box::new(|_| {});
    let error = ask_once(reset).unwrap_err();
    assert!(matches!(error, TransportError::Broken(_)), "{error:?}");
}

#[test]
fn what_is_no_http_is_refused() {
    for case in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/9.9 two hundred\r\n\r\n",
    ] {
        let error = ask_once(says(case)).unwrap_err();
        assert!(
            matches!(error, TransportError::Protocol(_)),
            "{case}: {error:?}"
        );
    }
    let headers = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1_000_000));
    let error = ask_once(says(headers)).unwrap_err();
    assert!(matches!(error, TransportError::Protocol(_)), "{error:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    // Until the client closes the connection.
    let silent: Answer = Box::new(|stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = ask_once(silent).unwrap_err();
    assert_eq!(
        error,
        TransportError::Timeout("the first byte of the answer")
    );
}

#[test]
fn a_body_that_drips_is_given_up() {
    let drip: Answer = Box::new(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        // A client without a limit would have all of it in the end.
        for _ in 0..1000 {
            std::thread::sleep(Duration::from_millis(50));
            if stream
                .write_all(b"x")
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
        }
    });
    let error = ask_once(drip).unwrap_err();
    assert_eq!(error, TransportError::Timeout("the whole answer"));
}

#[test]
fn a_body_over_the_limit_is_refused_whether_it_says_so_or_not() {
    let too_large = TransportError::TooLarge { limit: 100_000 };
    let announced = says("HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n[");
    assert_eq!(ask_once(announced).unwrap_err(), too_large);
    let mut unannounced = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    unannounced.extend(vec![b'['; 100_001]);
    assert_eq!(ask_once(says(unannounced)).unwrap_err(), too_large);
    let mut just = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    just.extend(vec![b'['; 100_000]);
    assert_eq!(ask_once(says(just)).unwrap().body.len(), 100_000);
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn a_compressed_body_is_limited_by_what_comes_out_of_it() {
    assert_eq!(
        ask_once(says(gzip(&compressed(b"[1]")))).unwrap().body,
        b"[1]"
    );
    let bomb = compressed(&vec![0; 50 << 20]);
    assert!(bomb.len() < 100_000);
    assert_eq!(
        ask_once(says(gzip(&bomb))).unwrap_err(),
        TransportError::TooLarge { limit: 100_000 }
    );
    let mut damaged = compressed(&[b'x'; 1000]);
    damaged.truncate(damaged.len() / 2);
    let error = ask_once(says(gzip(&damaged))).unwrap_err();
    assert!(
        matches!(
            error,
            TransportError::Broken(_) | TransportError::Protocol(_)
        ),
        "{error:?}"
    );
}

fn redirect(to: &str) -> Answer {
    answers("307 Temporary Redirect", &format!("Location: {to}\r\n"), "")
}

#[test]
fn a_redirect_on_the_same_server_is_followed_with_the_token() {
    let server = Server::new(vec![redirect("/elsewhere"), answers("200 OK", "", "[]")]);
    assert_eq!(ask(&server, "/api/alerts").unwrap().body, b"[]");
    assert!(server.request().starts_with("GET /api/alerts "));
    let second = server.request();
    assert!(
        second.starts_with("GET /elsewhere ") && second.contains("the-token"),
        "{second}"
    );
}

#[test]
fn a_redirect_to_another_server_is_not_followed_and_gets_no_token() {
    let other = Server::new(vec![answers("200 OK", "", "[]")]);
    for target in [
        other.url("/x"),
        format!("//{}/x", other.address),
        "ftp://127.0.0.1/".to_owned(),
        String::new(),
    ] {
        let server = Server::new(vec![redirect(&target)]);
        let error = ask(&server, "/api/alerts").unwrap_err();
        assert_eq!(
            error,
            TransportError::Redirect("to another server".to_owned()),
            "{target}"
        );
    }
    assert!(!other.was_asked());
}

#[test]
fn a_circle_of_redirects_ends() {
    let server = Server::new((0..9).map(|_| redirect("/again")).collect());
    let error = ask(&server, "/again").unwrap_err();
    assert_eq!(error, TransportError::Redirect("after 5 others".to_owned()));
}

#[test]
fn a_form_with_a_secret_is_sent_once_and_never_redirected() {
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let server = Server::new(vec![
            answers(status, "Location: /elsewhere\r\n", ""),
            answers("200 OK", "", "{}"),
        ]);
        let request = Request {
            method: Method::Post,
            url: server.url("/token"),
            headers: vec![(
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            )],
            bearer: None,
            body: Some(Secret::new("client_secret=a%2Bb")),
        };
        let error = UreqTransport::new(settings())
            .unwrap()
            .send(&request)
            .unwrap_err();
        assert_eq!(
            error,
            TransportError::Redirect("of a form with a secret".to_owned())
        );
        assert!(server.request().ends_with("\r\n\r\nclient_secret=a%2Bb"));
        assert!(!server.was_asked());
    }
}

#[test]
fn nobody_listens() {
    let address = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let request = Request::get(format!("http://{address}/"));
    let error = UreqTransport::new(settings())
        .unwrap()
        .send(&request)
        .unwrap_err();
    assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
}

#[test]
fn plain_http_to_another_machine_is_never_sent() {
    let request = Request::get("http://192.0.2.1/api/alerts");
    let error = UreqTransport::new(settings())
        .unwrap()
        .send(&request)
        .unwrap_err();
    assert!(matches!(error, TransportError::Local(_)), "{error:?}");
}

/// Lets a connection through to the server that it asks for.
fn proxies(status: &'static str) -> Answer {
    Box::new(move |stream| {
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        let _ = stream.flush();
        if status.starts_with("200") {
            let inner = read_request(stream);
            let host = inner
                .lines()
                .find_map(|line| line.strip_prefix("host: ").or(line.strip_prefix("Host: ")))
                .unwrap();
            let mut server = TcpStream::connect(host.trim()).unwrap();
            server.write_all(inner.as_bytes()).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            let _ = stream.write_all(&answer);
        }
    })
}

fn through(proxy: &Server) -> HttpSettings {
    HttpSettings {
        proxy: Some(ProxySettings {
            host: proxy.address.ip().to_string(),
            port: proxy.address.port(),
            credentials: Some(("a user".to_owned(), Secret::new("p@ss:w/rd%"))),
        }),
        ..settings()
    }
}

#[test]
fn a_proxy_gets_its_credentials_and_the_server_does_not() {
    let server = Server::new(vec![answers("200 OK", "", "[1]")]);
    let proxy = Server::new(vec![proxies("200 Connection established")]);
    let transport = UreqTransport::new(through(&proxy)).unwrap();
    let response = transport.send(&Request::get(server.url("/a"))).unwrap();
    assert_eq!(response.body, b"[1]");
    let asked = proxy.request();
    assert!(
        asked.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address)),
        "{asked}"
    );
    // "a user:p@ss:w/rd%" in base 64.
    assert!(
        asked.contains("Proxy-Authorization: Basic YSB1c2VyOnBAc3M6dy9yZCU=\r\n"),
        "{asked}"
    );
    assert!(
        !server
            .request()
            .to_ascii_lowercase()
            .contains("proxy-authorization")
    );
}

#[test]
fn a_proxy_that_refuses_is_named_and_the_password_is_not() {
    let proxy = Server::new(vec![proxies("407 Proxy Authentication Required")]);
    let transport = UreqTransport::new(through(&proxy)).unwrap();
    let error = transport
        .send(&Request::get("http://127.0.0.1:9/"))
        .unwrap_err();
    assert!(matches!(error, TransportError::Proxy(_)), "{error:?}");
    let shown = format!("{error} {error:?} {transport:?}");
    assert!(shown.contains("407"), "{shown}");
    assert!(
        !shown.contains("p@ss") && !shown.contains("YSB1c2Vy") && !shown.contains("p%40ss"),
        "{shown}"
    );
}

#[test]
fn a_certificate_is_trusted_when_its_authority_is_named_and_otherwise_not() {
    let (pem, config) = certificate();
    let folder = std::env::temp_dir().join(format!("dsmith-ca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca_file = folder.join("ca.pem");
    let send = |ca_file: Option<&std::path::Path>| {
        let server = Server::with_tls(vec![answers("200 OK", "", "[]")], config.clone());
        let settings = HttpSettings {
            trust: Trust::with(ca_file.map(Into::into)),
            ..settings()
        };
        let url = format!("https://localhost:{}/", server.address.port());
        UreqTransport::new(settings)
            .unwrap()
            .send(&Request::get(url))
    };
    std::fs::write(&ca_file, &pem).unwrap();
    assert_eq!(send(Some(&ca_file)).unwrap().body, b"[]");
    // Another authority, so that the machine needs none of its own.
    std::fs::write(&ca_file, certificate().0).unwrap();
    match send(Some(&ca_file)).unwrap_err() {
        TransportError::Tls { host, reason } => {
            assert_eq!(host, "localhost");
            assert!(reason.contains("certificate"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    std::fs::write(&ca_file, "no certificate").unwrap();
    let error = send(Some(&ca_file)).unwrap_err().to_string();
    assert!(
        error.ends_with("ca.pem cannot be used: it holds no certificate in PEM form"),
        "{error}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
    let error = send(Some(&ca_file)).unwrap_err();
    assert!(matches!(error, TransportError::Local(_)), "{error:?}");
}

//! Addresses of servers: which ones we talk to, and whether a link stays with one of them.

use http::Uri;

/// Scheme, host and port of a server that may see the token, and the path below which its interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: u16,
    path: String,
}

/// An address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no absolute address.
    #[error("it is not an address such as https://host/path")]
    Malformed,
    /// It holds a user name or password, which would show up in logs.
    #[error("it holds a user name or a password")]
    UserInfo,
    /// It is neither https, nor http to this very machine.
    #[error("only https is allowed; http only to 127.0.0.1, [::1] or localhost")]
    Insecure,
}

impl Endpoint {
    /// Reads an address. Plain http is accepted for this machine alone.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let endpoint = Self::parse_any(url)?;
        if !endpoint.secure && !endpoint.is_loopback() {
            return Err(EndpointError::Insecure);
        }
        Ok(endpoint)
    }

    fn parse_any(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::Malformed)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(EndpointError::Malformed),
        };
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err(EndpointError::Malformed);
        }
        // An authority such as `host:` or `host:99999` has no port that could be read.
        let port = match authority.as_str().len() - authority.host().len() {
            0 if secure => 443,
            0 => 80,
            _ => authority.port_u16().ok_or(EndpointError::Malformed)?,
        };
        Ok(Self {
            secure,
            host,
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether the address is one of this machine.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        bare == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether a link leads to the same scheme, host and port.
    pub fn is_origin_of(&self, link: &str) -> bool {
        Self::parse_any(link).is_ok_and(|other| {
            (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
        })
    }

    /// An address below this one; `rest` begins with a slash.
    pub fn join(&self, rest: &str) -> String {
        format!("{}{}{rest}", self.origin(), self.path)
    }

    /// Scheme, host and port as in an address.
    pub fn origin(&self) -> String {
        let (scheme, usual) = if self.secure {
            ("https", 443)
        } else {
            ("http", 80)
        };
        if self.port == usual {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// The host, in lower case; IPv6 addresses stand in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_only_with_the_same_scheme_host_and_port() {
        let endpoint = Endpoint::parse("https://graph.microsoft.com/v1.0").unwrap();
        for link in [
            "https://graph.microsoft.com/v1.0/security?$skiptoken=a",
            "https://GRAPH.microsoft.com:443/other",
        ] {
            assert!(endpoint.is_origin_of(link), "{link}");
        }
        for link in [
            "http://graph.microsoft.com/",
            "https://graph.microsoft.com:8443/",
            "https://graph.microsoft.com.example.net/",
            "https://graph.microsoft.com@example.net/",
            "https://example.net/https://graph.microsoft.com/",
            "//graph.microsoft.com/",
            "/v1.0/security",
            "graph.microsoft.com",
            "https://graph.microsoft.com\\@example.net/",
            "",
        ] {
            assert!(!endpoint.is_origin_of(link), "{link}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "http://127.0.0.1:8080",
            "http://[::1]:80/x",
            "http://localhost",
        ] {
            assert!(Endpoint::parse(url).unwrap().is_loopback(), "{url}");
        }
        for url in [
            "http://192.0.2.1",
            "http://localhost.example.com",
            "http://127.0.0.1.nip.example",
        ] {
            assert_eq!(Endpoint::parse(url), Err(EndpointError::Insecure), "{url}");
        }
        assert_eq!(
            Endpoint::parse("https://user:pw@example.com"),
            Err(EndpointError::UserInfo)
        );
        for url in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://h:99999/",
        ] {
            assert_eq!(Endpoint::parse(url), Err(EndpointError::Malformed), "{url}");
        }
    }

    #[test]
    fn addresses_are_joined_without_doubled_slashes() {
        let endpoint = Endpoint::parse("http://127.0.0.1:9000/eu/").unwrap();
        assert_eq!(
            endpoint.join("/api/alerts"),
            "http://127.0.0.1:9000/eu/api/alerts"
        );
        let plain = Endpoint::parse("https://h.example.com").unwrap();
        assert_eq!(plain.join("/api"), "https://h.example.com/api");
        assert_eq!((plain.port(), plain.is_secure()), (443, true));
    }
}

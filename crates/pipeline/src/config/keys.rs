//! The keys of the configuration: one declaration, from which reading, the JSON Schema and the reference page come.

use settings::{Key, Rule, Takes};

/// One line of text.
const TEXT: Takes = Takes::Text(4096);

pub(super) const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
pub(super) const SEVERITIES: &[&str] = &[
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];
const KAFKA: &[&str] = &["kafka"];
const SASL: &[&str] = &["sasl-plaintext", "sasl-ssl"];
const PASSWORDS: &[&str] = &["plain", "scram-sha-256", "scram-sha-512"];
const TOKENS: &[&str] = &["oauthbearer"];
const STREAMS: &[&str] = &["tcp", "tls"];
/// The transports of syslog over TLS.
pub(super) const ENCRYPTED: &[&str] = &["tls", "relp-tls"];

/// The keys at the top of the file.
pub const ROOT: &[Key] = &[
    Key::new(
        "state_directory",
        Takes::Path,
        "Folder of the spool, the cursors and the positions. It belongs to one process. Dead letters are kept in it too.",
    )
    .required(),
    Key::new(
        "mappings",
        Takes::Path,
        "Folder with mapping folders, instead of the mappings in the program.",
    ),
    Key::new("limits", Takes::Table(LIMITS), "What may be used up."),
    Key::new("metrics", Takes::Table(METRICS), "Metrics and health over HTTP."),
    Key::new("log", Takes::Table(LOG), "What is written to standard error."),
    Key::new(
        "group",
        Takes::Table(GROUP),
        "Other processes that divide the log sources with this one. All of them have the same log sources; of those that ask a REST interface, each is collected by one process at a time, and another goes on when that one is gone.",
    ),
    Key::new(
        "destination",
        Takes::Tables(DESTINATION),
        "A place where events go.",
    )
    .required(),
    Key::new(
        "log_source",
        Takes::Tables(LOG_SOURCE),
        "A log source, as QRadar has it.",
    )
    .required(),
];

const LIMITS: &[Key] = &[
    Key::new(
        "spool",
        Takes::Size,
        "The most bytes of payloads that wait for delivery. When they are reached, collection pauses; nothing is dropped.",
    )
    .default("8 GiB"),
    Key::new(
        "memory",
        Takes::Size,
        "The most bytes of payloads that wait in memory for each log source whose remote keeps them until they are delivered, such as a Kafka broker. When they are reached, it pauses.",
    )
    .default("64 MiB"),
    Key::new(
        "memory_events",
        Takes::Integer(1, 100_000_000),
        "The most events of such a log source that are read and not acknowledged. After a crash no more than these are delivered a second time.",
    )
    .default("100000"),
    Key::new(
        "free_disk",
        Takes::Size,
        "Bytes of the file system of the state directory that collection leaves free. When less is free, it pauses.",
    )
    .default("256 MiB"),
    Key::new(
        "threads",
        Takes::Integer(0, 256),
        "Threads that normalize, for each destination. 0 is one for each core.",
    )
    .default("0"),
];

const METRICS: &[Key] = &[Key::new(
    "address",
    Takes::Listen,
    "Where /metrics, /healthz and /readyz are served. Anybody who reaches it can read them.",
)
.required()];

const LOG: &[Key] = &[
    Key::new(
        "level",
        Takes::Choice(&["error", "warn", "info", "debug"]),
        "Messages of this severity and above are written.",
    )
    .default("info"),
    Key::new(
        "format",
        Takes::Choice(&["auto", "text", "json"]),
        "`auto` is `text` on a terminal and `json` elsewhere.",
    )
    .default("auto"),
];

const SASL_MECHANISM: Key = Key::new(
    "sasl_mechanism",
    Takes::Choice(&["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"]),
    "How we sign in: with a password, which `plain` shows as it is, so that it wants encryption, or with a token of an OAuth 2.0 server (`oauthbearer`).",
)
.default("plain")
.rules(&[Rule::only_with("security_protocol", SASL)]);

const USER: Key = Key::new(
    "sasl_username",
    TEXT,
    "The name to sign in with. For Event Hubs it is `$ConnectionString`.",
)
.formerly("user")
.required()
.rules(&[Rule::only_with("sasl_mechanism", PASSWORDS)]);

const PASSWORD: Key = Key::new(
    "sasl_password",
    Takes::Secret,
    "The password to sign in with. For Event Hubs it is the connection string of a policy with the claim Send.",
)
.formerly("password")
.required()
.rules(&[Rule::only_with("sasl_mechanism", PASSWORDS)]);

const TOKEN_URL: Key = Key::new(
    "token_url",
    TEXT,
    "Where tokens are got with client credentials. For Event Hubs it is `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.",
)
.required()
.rules(&[Rule::only_with("sasl_mechanism", TOKENS)]);

const TOKEN_CLIENT_ID: Key = Key::new(
    "token_client_id",
    TEXT,
    "Name of the application that asks for tokens. For Event Hubs it needs the role Azure Event Hubs Data Sender.",
)
.required()
.rules(&[Rule::only_with("sasl_mechanism", TOKENS)]);

const TOKEN_CLIENT_SECRET: Key = Key::new(
    "token_client_secret",
    Takes::Secret,
    "The secret of that application.",
)
.required()
.rules(&[Rule::only_with("sasl_mechanism", TOKENS)]);

const TOKEN_SCOPE: Key = Key::new(
    "token_scope",
    TEXT,
    "What the token is for. For Event Hubs it is `https://NAMESPACE.servicebus.windows.net/.default`.",
)
.required()
.rules(&[Rule::only_with("sasl_mechanism", TOKENS)]);

const GROUP: &[Key] = &[
    Key::new(
        "name",
        TEXT,
        "The consumer group, the same in all processes. No other program may use it.",
    )
    .required(),
    Key::new(
        "topic",
        TEXT,
        "The topic, the same in all processes. Its partitions stand for log sources, and in it stands how far each has been delivered. It is made if it is not there. Its `cleanup.policy` has to be `compact`.",
    )
    .default("dsmith-log-sources"),
    Key::new(
        "partitions",
        Takes::Integer(1, 1000),
        "How many partitions the topic gets if it is made. More processes than partitions have nothing to do.",
    )
    .default("16"),
    Key::new(
        "session_timeout_ms",
        Takes::Integer(1000, 300_000),
        "After so many milliseconds without a sign of life a process counts as dead, and others take over. Brokers take 6000 and more by default.",
    )
    .default("10000"),
    Key::new(
        "bootstrap_server_list",
        Takes::List(&Takes::HostPort),
        "Brokers to begin with; they name the others. An Event Hubs namespace has the port 9093.",
    )
    .formerly("bootstrap_servers")
    .required(),
    Key::new(
        "security_protocol",
        Takes::Choice(&["plaintext", "ssl", "sasl-plaintext", "sasl-ssl"]),
        "Whether the connection is encrypted (`ssl`) and whether we sign in (`sasl`).",
    )
    .default("plaintext"),
    SASL_MECHANISM,
    USER,
    Key {
        meaning: "The password to sign in with. For Event Hubs it is the connection string of a policy with the claims Send and Listen.",
        ..PASSWORD
    },
    TOKEN_URL,
    Key {
        meaning: "Name of the application that asks for tokens. For Event Hubs it needs the roles Azure Event Hubs Data Sender and Data Receiver.",
        ..TOKEN_CLIENT_ID
    },
    TOKEN_CLIENT_SECRET,
    TOKEN_SCOPE,
    Key::new(
        "ca_file",
        Takes::Path,
        "PEM file with certificate authorities that are trusted in addition to those of the system.",
    ),
    Key::new(
        "ca_file_only",
        Takes::Boolean,
        "Whether the authorities in `ca_file` are trusted alone, without those of the system.",
    )
    .default("false"),
    Key::new(
        "certificate_file",
        Takes::Path,
        "PEM file with the client certificate and its chain.",
    )
    .formerly("client_certificate"),
    Key::new(
        "private_key_file",
        Takes::Path,
        "PEM file with the private key of the client certificate.",
    )
    .formerly("client_key"),
];

const DESTINATION: &[Key] = &[
    Key::new(
        "name",
        TEXT,
        "Its name, by which log sources refer to it. Positions are stored under it: renaming it makes another destination.",
    )
    .required(),
    Key::new(
        "type",
        Takes::Choice(&["file", "stdout", "syslog", "kafka"]),
        "What kind of destination it is.",
    )
    .required(),
    Key::new(
        "format",
        Takes::Choice(&["leef1", "leef2", "cef", "json", "raw"]),
        "What an event becomes. `raw` is its payload; line breaks and NULs in it become blanks, except in a topic.",
    )
    .default("leef1"),
    Key::new(
        "delimiter",
        TEXT,
        "The character between attributes.",
    )
    .default("^")
    .rules(&[Rule::only_with("format", &["leef2"])]),
    Key::new(
        "substitution",
        Takes::Choice(&["space", "drop", "percent", "fail"]),
        "What becomes of characters that LEEF cannot carry: a blank, nothing, the bytes as %XX, or the event goes to the dead letters.",
    )
    .default("space")
    .rules(&[Rule::only_with("format", &["leef1", "leef2"])]),
    Key::new(
        "max_event_bytes",
        Takes::Integer(256, 64 << 20),
        "The longest event, the syslog header included. Without it there is no limit, except over RELP: 131047 bytes, with which a frame has 128 KiB.",
    ),
    Key::new(
        "oversize",
        Takes::Choice(&["shorten", "refuse", "send"]),
        "What becomes of a longer event: LEEF leaves out the least important attributes and `raw` is cut (`shorten`), it goes to the dead letters (`refuse`), or it is sent as it is (`send`). Without it LEEF and raw events are shortened, others refused.",
    ),
    Key::new(
        "batch_events",
        Takes::Integer(1, 10_000),
        "The most events that are sent at once. A crash repeats at most one batch; over a connection to a syslog receiver, what was not confirmed yet (`confirm`), and over RELP one batch and what was not acknowledged (`transport`).",
    )
    .default("500"),
    Key::new("path", Takes::Path, "The file.")
        .required()
        .rules(&[Rule::only_with("type", &["file"])]),
    Key::new(
        "rotate_size",
        Takes::Size,
        "A new file begins before this one would be larger. The old one gets the time into its name.",
    )
    .rules(&[Rule::only_with("type", &["file"])]),
    Key::new(
        "rotate_every",
        Takes::Choice(&["hour", "day"]),
        "A new file begins with each hour or day, in UTC.",
    )
    .rules(&[Rule::only_with("type", &["file"])]),
    Key::new(
        "keep",
        Takes::Integer(1, 100_000),
        "How many old files are kept; the oldest are removed. Without it all are kept.",
    )
    .rules(&[Rule::only_with("type", &["file"])]),
    Key::new(
        "mode",
        Takes::Choice(&["0600", "0640", "0644"]),
        "Who may read the file: its owner, its group too, or everybody. A file that was more open is tightened when it is opened.",
    )
    .default("0600")
    .rules(&[Rule::only_with("type", &["file"])]),
    Key::new(
        "sync",
        Takes::Choice(&["batch", "never"]),
        "`batch` forces each batch to the disk before the position moves. With `never` a power failure can lose what was written last.",
    )
    .default("batch")
    .rules(&[Rule::only_with("type", &["file"])]),
    Key::new("address", Takes::HostPort, "Host and port of the receiver.")
        .required()
        .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new(
        "transport",
        Takes::Choice(&["udp", "tcp", "tls", "relp", "relp-tls"]),
        "How events get there. With `udp` they can be lost without anybody knowing. With `relp` the receiver acknowledges each event: for rsyslog (`imrelp`), not for QRadar. 2,000 events or 2 MiB may be without an acknowledgement.",
    )
    .default("tcp")
    .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new(
        "header",
        Takes::Choice(&["ibm", "rfc5424", "rfc3164", "none"]),
        "The syslog header. `ibm` is the short form that IBM shows for LEEF: priority, version, time, host.",
    )
    .default("ibm")
    .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new(
        "framing",
        Takes::Choice(&["newline", "octet-counting"]),
        "How the receiver knows where an event ends. QRadar expects `newline`.",
    )
    .default("newline")
    .rules(&[Rule::only_with("transport", STREAMS)]),
    Key::new(
        "confirm",
        Takes::Choice(&["close", "window"]),
        "When events count as delivered. With `close` when the receiver has read them: every 5 seconds or 4 MiB the connection is ended, and the receiver closes it when it has read everything. `window` is for receivers that never close: 4 MiB or 30 seconds later, if the connection has not broken.",
    )
    .default("close")
    .rules(&[Rule::only_with("transport", STREAMS)]),
    Key::new("facility", Takes::Choice(FACILITIES), "The facility in the header.")
        .default("user")
        .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new("severity", Takes::Choice(SEVERITIES), "The severity in the header.")
        .default("notice")
        .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new(
        "host",
        TEXT,
        "The host in the header. Without it the log source identifier, by which QRadar finds the log source.",
    )
    .rules(&[Rule::only_with("type", &["syslog"])]),
    Key::new(
        "bootstrap_server_list",
        Takes::List(&Takes::HostPort),
        "Brokers to begin with; they name the others. An Event Hubs namespace has the port 9093.",
    )
    .formerly("bootstrap_servers")
    .required()
    .rules(&[Rule::only_with("type", KAFKA)]),
    Key::new("topic", TEXT, "The topic, or the event hub.")
        .required()
        .rules(&[Rule::only_with("type", KAFKA)]),
    Key::new(
        "key",
        Takes::Choice(&["none", "alert-id", "device", "tenant"]),
        "The key of a record: records with the same key go to the same partition, in their order. It is the custom property `Alert ID`, `Device ID` (or `Device Name`) or `Tenant ID` of the event; an event without it has no key.",
    )
    .default("none")
    .rules(&[Rule::only_with("type", KAFKA)]),
    Key::new(
        "compression",
        Takes::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]),
        "How records are compressed. Event Hubs takes `none` and `gzip`.",
    )
    .default("none")
    .rules(&[Rule::only_with("type", KAFKA)]),
    Key::new(
        "security_protocol",
        Takes::Choice(&["plaintext", "ssl", "sasl-plaintext", "sasl-ssl"]),
        "Whether the connection is encrypted (`ssl`) and whether we sign in (`sasl`).",
    )
    .default("plaintext")
    .rules(&[Rule::only_with("type", KAFKA)]),
    SASL_MECHANISM,
    USER,
    PASSWORD,
    TOKEN_URL,
    TOKEN_CLIENT_ID,
    TOKEN_CLIENT_SECRET,
    TOKEN_SCOPE,
    Key::new(
        "ca_file",
        Takes::Path,
        "PEM file with certificate authorities that are trusted in addition to those of the system. With `transport = \"tls\"` or `\"relp-tls\"`, or `security_protocol` with `ssl`.",
    )
    .rules(&[Rule::only_with("type", &["syslog", "kafka"])]),
    Key::new(
        "ca_file_only",
        Takes::Boolean,
        "Whether the authorities in `ca_file` are trusted alone, without those of the system.",
    )
    .default("false")
    .rules(&[Rule::only_with("type", &["syslog", "kafka"])]),
    Key::new(
        "certificate_file",
        Takes::Path,
        "PEM file with the client certificate and its chain; the same.",
    )
    .formerly("client_certificate")
    .rules(&[Rule::only_with("type", &["syslog", "kafka"])]),
    Key::new(
        "private_key_file",
        Takes::Path,
        "PEM file with the private key of the client certificate; the same.",
    )
    .formerly("client_key")
    .rules(&[Rule::only_with("type", &["syslog", "kafka"])]),
    Key::new(
        "server_name",
        TEXT,
        "The name that the certificate of the receiver must have, if it is not the host of the address.",
    )
    .rules(&[Rule::only_with("transport", ENCRYPTED)]),
];

const LOG_SOURCE: &[Key] = &[
    Key::new(
        "identifier",
        TEXT,
        "The log source identifier, unique. Cursors and positions are stored under it: renaming it makes another log source.",
    )
    .required(),
    Key::new(
        "type",
        TEXT,
        "The log source type: the name of its mapping folder.",
    )
    .required(),
    Key::new("protocol", TEXT, "The protocol that collects.").required(),
    Key::new(
        "parameters",
        Takes::Open("the parameters of the protocol"),
        "The parameters of the protocol. A secret is a reference: { env = \"NAME\" } or { file = \"/path\" }.",
    ),
    Key::new("enabled", Takes::Boolean, "Whether it collects. What waits is delivered all the same.")
        .default("true"),
    Key::new(
        "credibility",
        Takes::Integer(0, 10),
        "How far it is trusted; it stands in JSON events.",
    )
    .default("5"),
    Key::new(
        "coalescing",
        Takes::Boolean,
        "Whether equal events within ten seconds become one record with a count, from the fourth on.",
    )
    .default("false"),
    Key::new(
        "store_payload",
        Takes::Boolean,
        "Whether JSON events and Unknown ones carry the payload. A Stored event always does, a mapped one in LEEF or CEF never.",
    )
    .default("true"),
    Key::new(
        "destinations",
        Takes::List(&TEXT),
        "Names of the destinations that its events go to.",
    )
    .required(),
];

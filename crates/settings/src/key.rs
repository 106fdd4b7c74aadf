//! The declaration of a key.

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name, in snake_case.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it means, in whole sentences, for the reference page.
    pub meaning: &'static str,
    /// Its name in QRadar, if QRadar has it too.
    pub label: Option<&'static str>,
    /// Whether it has to be given while it is available.
    pub required: bool,
    /// The value where none is given, as it is written in the file, without quotes.
    pub default: Option<&'static str>,
    /// What the whole text, or each text of a list, has to look like.
    pub pattern: Option<Pattern>,
    /// Compare ASCII letters in any case and store them in lower case.
    pub any_case: bool,
    /// When it is available and required, depending on other keys. A key that one of them makes unavailable is; of those
    /// that make it required or optional, the last one that applies decides.
    pub rules: &'static [Rule],
    /// Its old name, which is still read, with a fault of the kind [`Renamed`](crate::FaultKind::Renamed).
    pub formerly: Option<&'static str>,
    /// What to write, such as `name = "Acme Firewall"`. Without it, something that the key takes.
    pub example: Option<&'static str>,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Takes {
    /// One line of text, not empty, with at most so many bytes.
    Text(usize),
    /// Any text. It may be empty unless the key is required.
    AnyText,
    /// One of these texts; capitals are taken for small letters.
    Choice(&'static [&'static str]),
    /// One of these texts, or its name in QRadar.
    Labelled(&'static [(&'static str, &'static str)]),
    /// `true` or `false`.
    Boolean,
    /// A whole number from a first to a last.
    Integer(i64, i64),
    /// A number of bytes, or a text such as `512 MiB`.
    Size,
    /// Minutes, hours or days, such as `5M`, from a shortest to a longest, in seconds.
    Interval(i64, i64),
    /// A path.
    Path,
    /// A host name or an address.
    Host,
    /// A host name or an address, and a port: `host:514`, `[2001:db8::1]:514`.
    HostPort,
    /// An address of this machine and a port: `127.0.0.1:9464`.
    Listen,
    /// A reference to a secret.
    Secret,
    /// A list with at least one text, each of which is taken as by the key alone.
    List(&'static Takes),
    /// Such a list, or one text with commas.
    ListOrCommas(&'static Takes),
    /// A table with these keys.
    Table(&'static [Key]),
    /// Tables with these keys, each written in double brackets.
    Tables(&'static [Key]),
    /// A table whose keys are declared elsewhere, such as those of a protocol. The text says what they are.
    Open(&'static str),
}

/// What a text has to look like.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// A regular expression, anchored at both ends, that is also valid in JSON Schema.
    pub regex: &'static str,
    /// What is expected, completing "it must be …".
    pub expected: &'static str,
}

/// How a key depends on another one of its table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The other key. If it has rules itself, it is declared before the one with this rule.
    pub key: &'static str,
    /// When the rule applies.
    pub when: When,
    /// What it does.
    pub effect: Effect,
}

/// When a rule applies. A key that is not available has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The other key has this value, given or by default.
    Is(&'static str),
    /// The other key has another value, or none.
    IsNot(&'static str),
    /// The other key has none of these values.
    IsNoneOf(&'static [&'static str]),
    /// The other key is given, or has a default and is available.
    Given,
    /// The other key is neither given nor has a default.
    Absent,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The key may not be given.
    Unavailable,
    /// The key has to be given.
    Required,
    /// The key need not be given.
    Optional,
}

impl Rule {
    /// The key is there only with these values of another one.
    #[must_use]
    pub const fn only_with(key: &'static str, values: &'static [&'static str]) -> Self {
        Self {
            key,
            when: When::IsNoneOf(values),
            effect: Effect::Unavailable,
        }
    }
}

impl Key {
    /// An optional key without a default.
    #[must_use]
    pub const fn new(name: &'static str, takes: Takes, meaning: &'static str) -> Self {
        Self {
            name,
            takes,
            meaning,
            label: None,
            required: false,
            default: None,
            pattern: None,
            any_case: false,
            rules: &[],
            formerly: None,
            example: None,
        }
    }

    /// It has to be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its value where none is given.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// Its name in QRadar.
    #[must_use]
    pub const fn label(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// What its text has to look like.
    #[must_use]
    pub const fn pattern(mut self, regex: &'static str, expected: &'static str) -> Self {
        self.pattern = Some(Pattern { regex, expected });
        self
    }

    /// Capitals are taken for small letters.
    #[must_use]
    pub const fn any_case(mut self) -> Self {
        self.any_case = true;
        self
    }

    /// What it depends on.
    #[must_use]
    pub const fn rules(mut self, rules: &'static [Rule]) -> Self {
        self.rules = rules;
        self
    }

    /// Its old name.
    #[must_use]
    pub const fn formerly(mut self, name: &'static str) -> Self {
        self.formerly = Some(name);
        self
    }

    /// What to write.
    #[must_use]
    pub const fn example(mut self, line: &'static str) -> Self {
        self.example = Some(line);
        self
    }
}

impl Takes {
    /// What each text of a list is taken as; itself where it is no list.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::List(item) | Self::ListOrCommas(item) => *item,
            _ => self,
        }
    }

    /// Whether it is written as one text.
    pub(crate) fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::AnyText | Self::Choice(_) | Self::Labelled(_)
        )
    }

    /// The only values and their names in QRadar, where there is a fixed set.
    pub(crate) fn choices(self) -> Vec<(&'static str, &'static str)> {
        match self.item() {
            Self::Choice(values) => values.iter().map(|value| (*value, "")).collect(),
            Self::Labelled(values) => values.to_vec(),
            _ => Vec::new(),
        }
    }
}

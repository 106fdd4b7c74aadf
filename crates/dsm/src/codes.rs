//! The table of diagnostic codes: number, severity, title, explanation.
//!
//! A code exists only by a row here, and a row without its texts does not compile. Numbers are never reused.

use crate::diagnostic::Severity;
use std::fmt;

macro_rules! codes {
    ($($name:ident = $number:literal $severity:ident: $title:literal; $why:literal)*) => {
        /// A stable diagnostic code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is printed, such as `DSM003`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $number,)* }
            }

            /// The severity that findings of this code have unless the caller says otherwise.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What is wrong, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// Why it matters.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }
        }
    };
}

codes! {
    XmlMalformed = "DSM001" Error: "the XML is not well formed";
        "QRadar refuses the upload of a file that its XML parser cannot read"
    NotAnExtension = "DSM002" Error: "the root element is not device-extension";
        "a log source extension is recognised by its root element"
    AttributeMissing = "DSM003" Error: "a required attribute is missing";
        "the schema that QRadar checks at upload requires it"
    OrderInvalid = "DSM004" Error: "an order is not a positive integer";
        "groups and matchers are tried in ascending order, so each needs a whole number above zero"
    PatternUnknown = "DSM005" Error: "a pattern-id names no pattern";
        "a matcher without its pattern can never yield a value"
    RegexInvalid = "DSM006" Error: "a regular expression does not compile";
        "Java's regular expression compiler refuses it, and so does QRadar"
    CaptureGroupMissing = "DSM007" Error: "a capture group does not exist in the pattern";
        "a reference to a group that the pattern does not have yields no value, or the wrong one"
    RegexUnsupported = "DSM008" Error: "a Java construct cannot be honoured";
        "Java accepts it but this engine cannot give the same result, and a silent difference would be a wrong event"
    PatternDuplicate = "DSM009" Warning: "a pattern id is used twice";
        "the first pattern wins and the second is never tried"
    GroupOrderDuplicate = "DSM010" Warning: "two match groups have the same order";
        "the order decides which group supplies the fields; IBM demands that it is unique, and document order breaks the tie here"
    FieldUnknown = "DSM011" Error: "a field is neither a system property nor a declared custom property";
        "QRadar has no property of that name, so the value would be thrown away"
    AttributeUnknown = "DSM012" Warning: "an attribute is unknown";
        "QRadar does not know it, so it has no effect; most often it is a misspelling"
    ElementUnknown = "DSM013" Warning: "an element is unknown or out of place";
        "it has no effect; most often it is a misspelling or stands at the wrong level"
    PatternTypeMismatch = "DSM014" Warning: "the type of a pattern does not fit the element that uses it";
        "the element decides how the pattern is read, and the pattern was written for another kind"
    ExtDataMisplaced = "DSM015" Warning: "ext-data stands on a field other than DeviceTime";
        "only DeviceTime reads it, so it has no effect here"
    EventNameMissing = "DSM016" Warning: "a match group has no matcher for EventName";
        "a group applies when its event name is found; without a matcher for it the group never applies"
    EventMatchUnreachable = "DSM017" Warning: "an event-match-single names an event that the group cannot produce";
        "none of the matchers for EventName in this group can yield that text, so the modifier never applies"
    SeverityOutOfRange = "DSM018" Warning: "a severity lies outside 1 to 10";
        "QRadar uses 5 instead"
    PatternBlankEdges = "DSM019" Warning: "a pattern begins or ends with white space";
        "every character between the tags belongs to the pattern, line breaks around the CDATA section included"
    TrimInnerBlanks = "DSM020" Warning: "trim-whitespace on a pattern with blanks inside";
        "IBM does not say whether single blanks inside the pattern are removed too, so the result may differ between systems"
    PatternUnused = "DSM021" Warning: "a pattern is used by nothing";
        "it is dead text, or the matcher that should use it names another pattern"
    StrayText = "DSM022" Warning: "text stands between elements";
        "it has no effect, and a reader may take it for part of the mapping"
    StandaloneInvalid = "DSM023" Warning: "standalone is neither yes nor no";
        "the XML standard allows only these two values; the DSM Editor writes `true`, strict parsers refuse it"
    BareKeySubstitution = "DSM024" Warning: "enable-substitutions on a bare key";
        "the DSM Editor writes this; the body has no {path}, so it is read as a key, not as a constant"
    TemplateWithoutFlag = "DSM025" Warning: "a template without enable-substitutions";
        "without the flag capture-group must be a number; IBM's own examples forget it, so the template is honoured"
    RegexOutsideCdata = "DSM026" Warning: "a regular expression outside a CDATA section";
        "IBM asks for CDATA; the text is read with its XML escapes resolved"
    ValueInvalid = "DSM027" Error: "an attribute has a value that is not allowed";
        "the attribute takes one of a fixed set of values"
    DtdRefused = "DSM028" Error: "the file declares a document type or uses an undeclared entity";
        "entities are never expanded: they make a file mean different things in different places"
    PathInvalid = "DSM029" Error: "a key path cannot be read";
        "a path that cannot be read selects nothing"
    DateFormatInvalid = "DSM030" Error: "a date format cannot be read";
        "DeviceTime would silently fall back to the time of receipt"
    WithinInvalid = "DSM031" Error: "dsmith:within does not lead to a value";
        "it must name another pattern, and the chain of patterns must end at the payload"
    FilterUndeclared = "DSM032" Error: "a key path filter without dsmith:hits";
        "filters are an extension that QRadar does not have; the attribute marks it and says what several hits mean"
    MatcherShadowed = "DSM033" Warning: "two matchers of a field have the same order";
        "document order breaks the tie, which a reader of the file cannot see"
    TemplateGroupAboveNine = "DSM034" Warning: "a template refers to a group above 9";
        "only \\1 to \\9 exist: \\10 is group 1 followed by the character 0"
    NothingToMatch = "DSM035" Error: "the extension has no match group";
        "without a match group no field is ever filled"
    NamespaceWrong = "DSM036" Warning: "the root element is not in the namespace of log source extensions";
        "QRadar checks the file against a schema that has a namespace, and an element outside it is another element"
    EncodingDeclared = "DSM037" Warning: "the XML declaration names an encoding other than UTF-8";
        "the file is read as UTF-8 here and by the declared encoding in QRadar, so a letter outside ASCII would differ"
    PatternDeclaredLate = "DSM038" Warning: "a pattern is declared after a match group that uses it";
        "IBM demands that a pattern is declared before the match group that refers to it"
    AttributeMisleading = "DSM039" Warning: "an attribute does not do what it seems to say";
        "it is read to the letter, and that is hardly what was meant"

    ManifestMalformed = "DSM040" Error: "the manifest is not valid TOML";
        "nothing in it can be used"
    ManifestKeyMissing = "DSM041" Error: "a required key is missing in the manifest";
        "the log source type cannot be described without it"
    ManifestKeyUnknown = "DSM042" Error: "the manifest has an unknown key";
        "it would have no effect; most often it is a misspelling"
    ManifestValueInvalid = "DSM043" Error: "a value in the manifest is not allowed";
        "the key takes another type or one of a fixed set of values"
    PropertyNameTaken = "DSM044" Error: "a custom property has a name that is already taken";
        "a matcher's field attribute must lead to exactly one property"
    LeefKeyInvalid = "DSM045" Error: "a LEEF key is not usable";
        "QRadar reads predefined keys its own way and may ignore a repeated key, so a custom property needs a key of its own made of letters and digits"
    PropertyUnfilled = "DSM046" Warning: "no matcher fills a declared custom property";
        "the property stays empty in every event"
    FormatVersionUnknown = "DSM047" Error: "the mapping format version is not known";
        "this program would read the folder by the wrong rules"
    OptionUnknown = "DSM048" Error: "an engine option or its value is unknown";
        "options answer what IBM's documents leave open; an unknown one would silently leave the default in force"
    AutodetectionEmpty = "DSM049" Warning: "autodetection has a precedence but no rule";
        "without a rule the log source type claims no payload, whatever its precedence"

    CsvMalformed = "DSM050" Error: "a CSV file cannot be read";
        "the columns and their order are those that QRadar's qidmap_cli.sh uses"
    NumberInvalid = "DSM051" Error: "a number cannot be read";
        "the column holds whole numbers only"
    QidDuplicate = "DSM052" Error: "a QID is defined twice";
        "a QID stands for one record"
    QidSeverityOutOfRange = "DSM053" Error: "the severity of a QID lies outside 0 to 10";
        "qidmap_cli.sh refuses it"
    CategoryUnknown = "DSM054" Error: "a low-level category does not exist";
        "QRadar files the event under a category, and refuses one that it does not have"
    QidTextTooLong = "DSM055" Error: "the name or description of a QID is empty or too long";
        "QRadar demands a name and stores 255 characters of it, and 2048 of the description"
    QidMissing = "DSM056" Error: "an event mapping leads to a QID that is not in qidmap.csv";
        "events of this kind would stay Unknown"
    EventMappingDuplicate = "DSM057" Error: "an event ID and category are mapped twice";
        "QRadar allows one mapping for each pair"
    QidUnmapped = "DSM058" Warning: "no event mapping leads to a QID";
        "no event can ever get it"
    QidRange = "DSM059" Warning: "a QID lies below the user-defined range";
        "numbers from 2,000,001 are for users; a lower number can collide with one that IBM ships"

    FileMissing = "DSM060" Error: "a mapping folder lacks a file";
        "a log source type is its manifest, its extension, its QID map and its event mappings"
    FileUnexpected = "DSM061" Warning: "a mapping folder holds a file that nothing reads";
        "it may be a misspelt name, and what it says has no effect"
    FileUnreadable = "DSM062" Error: "a file cannot be read as UTF-8 text";
        "mapping files are UTF-8"
    SlugInvalid = "DSM063" Error: "the name of a mapping folder is not in kebab-case";
        "it is the name of the log source type on the command line and in both trees: lower case letters, digits and single hyphens"
    PrecedenceDuplicate = "DSM064" Error: "two mappings have the same autodetection precedence";
        "which one is asked first would depend on the order of folders"

    SnapshotMissing = "DSM070" Error: "a fixture has no snapshot";
        "without a snapshot the fixture proves nothing"
    SnapshotOrphan = "DSM071" Error: "a snapshot has no fixture";
        "it looks like evidence but nothing compares with it"
    SnapshotDiffers = "DSM072" Error: "a fixture no longer gives what its snapshot says";
        "either the mapping broke, or the change is meant and somebody has to read and accept it"
    BranchUnreached = "DSM073" Error: "no fixture reaches a branch of the mapping";
        "a branch that no fixture reaches can break without anybody noticing"
    BranchReached = "DSM074" Error: "a branch is listed as unreached but a fixture reaches it, or it no longer exists";
        "the list may only shrink"
    FixturesMissing = "DSM075" Error: "a mapping has no fixtures";
        "a mapping without evidence cannot be extended safely"
    FixturesOrphan = "DSM076" Error: "a fixture folder belongs to no mapping";
        "nothing reads it"
    FixtureUnreadable = "DSM077" Error: "a fixture cannot be split into payloads without faults";
        "a fixture whose input is itself broken tests the reader, not the mapping; such input belongs to the reader's own tests"
    FindingsOmitted = "DSM079" Warning: "there are more findings than are shown";
        "a list holds ten thousand findings; nobody reads more, and most of them have one cause"

    PatternEmpty = "DSM080" Error: "a pattern is empty";
        "an empty key or path names nothing, and an empty regular expression matches every payload without reading it"
    EventMatchDuplicate = "DSM081" Warning: "two event-match-single elements of a group name the same event";
        "the first one wins and the second never applies"
    EventMappingEmpty = "DSM082" Error: "an event mapping names neither an event ID nor a category";
        "no event can ever be found by it"
    LimitExceeded = "DSM083" Error: "an extension exceeds a limit";
        "the limits keep loading fast whatever a file holds, and no real mapping comes near them"

    RegexExponential = "DSM101" Warning: "a regular expression backtracks exponentially";
        "each further character of a hostile payload multiplies the time, and QRadar has no limit of steps"
    RegexPolynomial = "DSM102" Warning: "a regular expression takes too long on a long payload";
        "the time grows with a power of the length, so that one payload of 4 KB costs as much as thousands of others"
    RegexLeadingDot = "DSM103" Warning: "a regular expression begins with .* or .+";
        "the search looks through the payload from every place, and on a payload without a match it does so for each of them"
    MatcherNeverWins = "DSM104" Warning: "a matcher, modifier or group can never win";
        "what is tried before it always has a value where it would have one, so it is dead text that looks alive"
    PatternRepeated = "DSM105" Warning: "two patterns are the same";
        "the payload is searched twice for one thing, and one day only one of them is mended"
    EditorConstruct = "DSM106" Warning: "the DSM Editor does not allow a construct";
        "the editor takes (?i) at the beginning of an expression and no other flag, so nobody can edit the property there"
    JsonByRegex = "DSM107" Warning: "a regular expression reads a member of JSON";
        "it finds the first text that looks like the member, wherever it stands, and does not undo escapes; a key path costs next to nothing"
    EventMappingUnreachable = "DSM108" Warning: "no matcher produces the event ID of an event mapping";
        "no event can ever be found by it, and its QID may never be used"
    SeverityDisagrees = "DSM109" Warning: "the severity of a QID disagrees with its category";
        "an analyst who sorts by one sees another order than one who sorts by the other"
    HitsInexpressible = "DSM110" Warning: "QRadar cannot express what a key path selects";
        "the export leaves out the matchers that use the pattern"
    WithinInexpressible = "DSM111" Warning: "QRadar cannot express a pattern within another";
        "the export leaves out the matchers that use the pattern, or lets it read the whole payload"
    AllowUnused = "DSM112" Warning: "an allow allows nothing";
        "it would hide the next finding of its kind, for which nobody gave a reason"
    FixtureUnclean = "DSM113" Warning: "a fixture holds what may be somebody's";
        "many people read a fixture, and the history of a repository keeps it"
    DateLetterDoubtful = "DSM114" Warning: "a letter of a date format stands for something else";
        "the format is valid, and reads another time than the text says"
    DateDayUnpadded = "DSM115" Warning: "a date format does not read the first nine days of a month";
        "syslog pads them with a blank, which Joda-Time does not skip: the event has the time of receipt"

    ConfigMalformed = "CFG001" Error: "the configuration is not valid TOML";
        "what cannot be read cannot be honoured"
    ConfigKeyUnknown = "CFG002" Error: "a key of the configuration is unknown";
        "it would have no effect, and most often it is a misspelling of one that would"
    ConfigKeyMissing = "CFG003" Error: "a required key of the configuration is missing";
        "there is no sensible default for it"
    ConfigValueInvalid = "CFG004" Error: "a value of the configuration cannot be used";
        "a value that is not understood is not guessed at"
    ConfigNameDuplicate = "CFG005" Error: "two log sources or two destinations have the same name";
        "positions and cursors are stored under the name, so it must stand for one thing"
    ConfigKeyUnavailable = "CFG006" Error: "a key does not go with another one";
        "it would have no effect, and somebody relies on it"
    ConfigContradiction = "CFG007" Error: "two settings contradict each other";
        "both cannot be honoured"
    ProtocolUnknown = "CFG010" Error: "a protocol does not exist";
        "nothing would be collected"
    LogSourceTypeUnknown = "CFG011" Error: "a log source type has no mapping";
        "without a mapping the events of the log source would all be Stored"
    DestinationUnknown = "CFG012" Error: "a log source names a destination that does not exist";
        "its events would wait for ever"
    ParameterUnknown = "CFG013" Error: "a parameter of a protocol is unknown";
        "it would have no effect, and most often it is a misspelling of one that would"
    ParameterMissing = "CFG014" Error: "a required parameter of a protocol is missing";
        "the protocol cannot work without it"
    ParameterInvalid = "CFG015" Error: "the value of a parameter cannot be used";
        "the protocol declares which values it takes"
    ParameterConflict = "CFG016" Error: "a parameter does not go with another one";
        "the protocol could honour only one of them"
    SecretInline = "CFG017" Error: "a secret is written into the configuration";
        "configuration is copied, committed and shown to people, and a secret in it is one no longer"
    SecretUnavailable = "CFG018" Error: "a secret cannot be found";
        "the log source cannot sign in without it"
    FileUnusable = "CFG019" Error: "a file that the configuration names cannot be used";
        "it is needed as soon as there is something to do"
    ProtocolDeprecated = "CFG020" Warning: "a protocol is deprecated";
        "its vendor switches it off"
    DestinationUnused = "CFG021" Warning: "no log source names a destination";
        "nothing is ever sent there"
    LogSourceNone = "CFG022" Warning: "no log source is enabled";
        "there is nothing to do"
    FeatureMissing = "CFG023" Error: "this program was built without something that the configuration needs";
        "`dsmith run` refuses to start without it"
    NamesCollide = "CFG024" Error: "two names mean the same thing where they are used";
        "events of one would count as those of the other, or one would take the place of the other"
    ConfigKeyRenamed = "CFG025" Warning: "a key of the configuration has a new name";
        "the old name still works, and a later version may no longer know it"
    EventsOrphaned = "CFG026" Error: "events wait for something that is no longer configured";
        "they would never be delivered, so `dsmith run` refuses to begin and a reload keeps the old configuration"
}

impl Code {
    /// The code with this number, such as `DSM003`; case does not matter.
    pub fn from_number(number: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str().eq_ignore_ascii_case(number))
    }

    /// Whether findings of this code come from `dsmith lint` alone, and can be allowed in the manifest.
    pub fn is_lint(self) -> bool {
        self.as_str().starts_with("DSM1")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_number() {
        let mut numbers: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::ALL.len());
    }

    #[test]
    fn texts_follow_the_house_style() {
        for code in Code::ALL {
            for text in [code.title(), code.why()] {
                assert!(!text.ends_with('.'), "{code}: full stop: {text}");
                assert!(text.len() > 10, "{code}: no text");
            }
        }
    }
}

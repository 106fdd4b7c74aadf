//! The part of OData's `$filter` that alert interfaces take: comparisons, `and`, `or`, `not`, parentheses.

use crate::stamp::Stamp;
use std::cmp::Ordering;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(String, Operator, Literal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Null,
    Text(String),
    Number(i64),
    Time(Stamp),
}

/// How deep parentheses may nest.
const DEPTH: usize = 32;

impl Filter {
    /// Reads a condition over these properties; the error is what the interface answers.
    pub(crate) fn parse(text: &str, properties: &[&str]) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            properties,
        };
        let filter = parser.or(0)?;
        match parser.tokens {
            [] => Ok(filter),
            [rest, ..] => Err(format!("syntax error at '{}'", rest.text)),
        }
    }

    /// Whether it holds; `property` gives the value of a property.
    pub(crate) fn holds(&self, property: &dyn Fn(&str) -> Literal) -> bool {
        match self {
            Self::And(left, right) => left.holds(property) && right.holds(property),
            Self::Or(left, right) => left.holds(property) || right.holds(property),
            Self::Not(inner) => !inner.holds(property),
            Self::Compare(name, operator, literal) => compare(&property(name), *operator, literal),
        }
    }

    /// Whether the condition asks for nothing but these properties.
    pub(crate) fn uses_only(&self, names: &[&str]) -> bool {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.uses_only(names) && right.uses_only(names)
            }
            Self::Not(inner) => inner.uses_only(names),
            Self::Compare(name, ..) => names.contains(&name.as_str()),
        }
    }
}

fn compare(value: &Literal, operator: Operator, literal: &Literal) -> bool {
    let order = match (value, literal) {
        (Literal::Text(left), Literal::Text(right)) => Some(left.cmp(right)),
        (Literal::Number(left), Literal::Number(right)) => Some(left.cmp(right)),
        (Literal::Time(left), Literal::Time(right)) => Some(left.cmp(right)),
        (Literal::Text(left), Literal::Time(right)) => {
            Stamp::parse(left).map(|left| left.cmp(right))
        }
        (Literal::Null, Literal::Null) => Some(Ordering::Equal),
        _ => None,
    };
    match operator {
        Operator::Eq => order == Some(Ordering::Equal),
        Operator::Ne => order != Some(Ordering::Equal),
        Operator::Gt => order == Some(Ordering::Greater),
        Operator::Ge => order.is_some_and(Ordering::is_ge),
        Operator::Lt => order == Some(Ordering::Less),
        Operator::Le => order.is_some_and(Ordering::is_le),
    }
}

struct Token {
    text: String,
    quoted: bool,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, quoted, length) = match first {
            '(' | ')' => (first.to_string(), false, 1),
            '\'' => {
                let (inner, length) = quoted(rest).ok_or("unterminated string literal")?;
                (inner, true, length)
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\''))
                    .unwrap_or(rest.len());
                (rest[..end].to_owned(), false, end)
            }
        };
        tokens.push(Token {
            text: token,
            quoted,
        });
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A literal in quotes, in which two quotes mean one, and its length with the quotes.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char != '\'' {
            inner.push(char);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            inner.push('\'');
        } else {
            return Some((inner, at + 1));
        }
    }
    None
}

struct Parser<'a> {
    tokens: &'a [Token],
    properties: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<&'a Token, String> {
        let (first, rest) = self
            .tokens
            .split_first()
            .ok_or("the expression ends too early")?;
        self.tokens = rest;
        Ok(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = matches!(self.tokens, [first, ..] if !first.quoted && first.text == word);
        if taken {
            self.tokens = &self.tokens[1..];
        }
        taken
    }

    fn or(&mut self, depth: usize) -> Result<Filter, String> {
        let mut left = self.and(depth)?;
        while self.take("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Filter, String> {
        let mut left = self.unary(depth)?;
        while self.take("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary(depth)?));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEPTH {
            return Err("the expression nests too deep".to_owned());
        }
        if self.take("not") {
            return Ok(Filter::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err("')' is missing".to_owned())
            };
        }
        let name = &self.next()?.text;
        if !self.properties.contains(&name.as_str()) {
            return Err(format!("property '{name}' cannot be filtered"));
        }
        let operator = match self.next()?.text.as_str() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "gt" => Operator::Gt,
            "ge" => Operator::Ge,
            "lt" => Operator::Lt,
            "le" => Operator::Le,
            other => return Err(format!("unknown operator '{other}'")),
        };
        let literal = self.next()?;
        let value = if literal.quoted {
            Literal::Text(literal.text.clone())
        } else if literal.text == "null" {
            Literal::Null
        } else if let Ok(number) = literal.text.parse() {
            Literal::Number(number)
        } else if let Some(time) = Stamp::parse(&literal.text) {
            Literal::Time(time)
        } else {
            return Err(format!("'{}' is no literal", literal.text));
        };
        Ok(Filter::Compare(name.clone(), operator, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["severity", "lastUpdateTime", "incidentId", "assignedTo"];

    fn holds(text: &str) -> bool {
        Filter::parse(text, NAMES)
            .unwrap()
            .holds(&|name| match name {
                "severity" => Literal::Text("High".to_owned()),
                "lastUpdateTime" => Literal::Time(Stamp::parse("2026-03-02T08:00:00.5Z").unwrap()),
                "incidentId" => Literal::Number(7),
                _ => Literal::Null,
            })
    }

    #[test]
    fn times_are_compared_as_times_and_not_as_texts() {
        assert!(holds("lastUpdateTime gt 2026-03-02T08:00:00Z"));
        assert!(!holds("lastUpdateTime gt 2026-03-02T08:00:00.5Z"));
        assert!(holds("lastUpdateTime ge 2026-03-02T08:00:00.5000000Z"));
        assert!(holds("lastUpdateTime lt 2026-03-02T08:00:00.50001Z"));
    }

    #[test]
    fn conditions_are_joined_with_the_usual_precedence() {
        assert!(holds("severity eq 'High' and incidentId eq 7"));
        assert!(holds(
            "severity eq 'Low' and incidentId eq 1 or incidentId eq 7"
        ));
        assert!(!holds(
            "severity eq 'Low' and (incidentId eq 1 or incidentId eq 7)"
        ));
        assert!(holds("not (severity eq 'Low') and assignedTo eq null"));
        assert!(!holds("severity eq 'Lo''w'"));
    }

    #[test]
    fn what_cannot_be_filtered_is_named() {
        let error = |text| Filter::parse(text, NAMES).unwrap_err();
        assert!(error("title eq 'x'").contains("'title'"));
        assert!(error("severity like 'x'").contains("'like'"));
        assert!(error("severity eq 'x").contains("unterminated"));
        assert!(error("severity eq").contains("ends too early"));
        assert!(error("severity eq 'x' 'y'").contains("'y'"));
        assert!(error(&format!("{}severity eq 'x'", "(".repeat(5000))).contains("too deep"));
    }
}

//! In what two provenances differ.

use std::{collections::BTreeMap, fmt};

use super::{Input, Provenance, Source};
use crate::{Value, value::json::to_json};

#[cfg(test)]
mod tests;

/// One thing that is part of the key and that two provenances differ in, and so why one does not find the result of the
/// other. `was` is the one that was asked, `is` the other.
///
/// `Display` writes one line, in which a missing value is `absent` and values look as in the
/// [JSON form](Provenance::to_json), so `1`, `1.0` and `"1"` are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The name of the operation.
    Operation {
        /// The one name.
        was: String,
        /// The other.
        is: String,
    },
    /// The version of the operation's code.
    Version {
        /// The one version.
        was: Option<String>,
        /// The other.
        is: Option<String>,
    },
    /// Something about the toolchain or the machine.
    Environment {
        /// What it is called.
        name: String,
        /// The one value.
        was: Option<Value>,
        /// The other.
        is: Option<Value>,
    },
    /// The salt.
    Salt {
        /// The one salt.
        was: Option<String>,
        /// The other.
        is: Option<String>,
    },
    /// Whether the order of the inputs counts: in one of the two it does.
    Order {
        /// Whether it counts in the other one.
        counts: bool,
    },
    /// An input: another one, one less, or one more.
    Input {
        /// Where it stands, from 0; `None` unless the order counts in both.
        position: Option<usize>,
        /// The one input.
        was: Option<Input>,
        /// The other.
        is: Option<Input>,
    },
    /// A parameter.
    Param {
        /// What it is called.
        name: String,
        /// The one value.
        was: Option<Value>,
        /// The other.
        is: Option<Value>,
    },
}

impl Provenance {
    /// Everything that `other` has otherwise and that is part of the key; nothing exactly if both have one
    /// [key](Self::digest).
    ///
    /// Inputs are compared by position. Unless their order counts in both, those that only one of the two has are told, in
    /// pairs of one role where there are any.
    ///
    /// ```
    /// use larder_provenance::Provenance;
    ///
    /// let was = Provenance::new("smooth").param("window", 500).recorded("threads", 1);
    /// let is = Provenance::new("smooth").param("window", 500.0).version("2").recorded("threads", 8);
    /// let lines: Vec<_> = was.differences(&is).iter().map(ToString::to_string).collect();
    /// assert_eq!(lines, ["version: absent -> \"2\"", "parameter \"window\": 500 -> 500.0"]);
    /// ```
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let operation = change(&self.operation, &other.operation);
        found.extend(operation.map(|(was, is)| Difference::Operation { was, is }));
        let version = change(&self.code_version, &other.code_version);
        found.extend(version.map(|(was, is)| Difference::Version { was, is }));
        found.extend(of_maps(&self.environment, &other.environment, |name, was, is| {
            Difference::Environment { name, was, is }
        }));
        let salt = change(&self.salt, &other.salt);
        found.extend(salt.map(|(was, is)| Difference::Salt { was, is }));
        let order = change(&self.ordered, &other.ordered);
        found.extend(order.map(|(_, counts)| Difference::Order { counts }));
        found.extend(of_inputs(self, other));
        found.extend(of_maps(&self.params, &other.params, |name, was, is| Difference::Param {
            name,
            was,
            is,
        }));
        found
    }
}

fn change<T: Clone + PartialEq>(was: &T, is: &T) -> Option<(T, T)> {
    (was != is).then(|| (was.clone(), is.clone()))
}

fn of_maps(
    was: &BTreeMap<String, Value>,
    is: &BTreeMap<String, Value>,
    difference: impl Fn(String, Option<Value>, Option<Value>) -> Difference,
) -> Vec<Difference> {
    let pairs = pairs(was.iter().collect(), is.iter().collect(), |entry| entry.0);
    let differing = pairs.into_iter().filter_map(|(was, is)| {
        let name = was.or(is)?.0.clone();
        (was != is).then(|| difference(name, was.map(|it| it.1.clone()), is.map(|it| it.1.clone())))
    });
    differing.collect()
}

fn of_inputs(was: &Provenance, is: &Provenance) -> Vec<Difference> {
    let pairs = if was.ordered && is.ordered {
        by_position(&was.inputs, &is.inputs)
    } else {
        by_role(&was.inputs, &is.inputs)
    };
    let difference = |(position, (was, is)): (_, Pair<&Input>)| Difference::Input {
        position,
        was: was.cloned(),
        is: is.cloned(),
    };
    pairs.into_iter().map(difference).collect()
}

type Pair<T> = (Option<T>, Option<T>);
type PlacedInputs<'a> = Vec<(Option<usize>, Pair<&'a Input>)>;

fn by_position<'a>(was: &'a [Input], is: &'a [Input]) -> PlacedInputs<'a> {
    let positions = 0..was.len().max(is.len());
    let pairs = positions.map(|position| (Some(position), (was.get(position), is.get(position))));
    pairs.filter(|(_, (was, is))| was != is).collect()
}

/// Those that only one of the two has, in pairs of one role where there are any.
fn by_role<'a>(was: &'a [Input], is: &'a [Input]) -> PlacedInputs<'a> {
    let mut alone = pairs(sorted(was), sorted(is), |input| *input);
    alone.retain(|(was, is)| was != is);
    let was = alone.iter().filter_map(|pair| pair.0).collect();
    let is = alone.iter().filter_map(|pair| pair.1).collect();
    pairs(was, is, |input| input.role()).into_iter().map(|pair| (None, pair)).collect()
}

fn sorted(inputs: &[Input]) -> Vec<&Input> {
    let mut inputs: Vec<_> = inputs.iter().collect();
    inputs.sort();
    inputs
}

/// Goes through two lists that are sorted by `key`: what has the same key is a pair, as often as both have it.
fn pairs<'a, T: Copy + 'a, K: Ord>(was: Vec<T>, is: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Pair<T>> {
    let (mut was, mut is) = (was.into_iter().peekable(), is.into_iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let (take_was, take_is) = match (was.peek(), is.peek()) {
            (Some(was), Some(is)) => (key(was) <= key(is), key(is) <= key(was)),
            (was, is) => (was.is_some(), is.is_some()),
        };
        let pair = (was.next_if(|_| take_was), is.next_if(|_| take_is));
        if pair.0.is_none() && pair.1.is_none() {
            return pairs;
        }
        pairs.push(pair);
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation { was, is } => write!(f, "operation: {was:?} -> {is:?}"),
            Self::Version { was, is } => {
                write!(f, "version: {} -> {}", text(was.as_deref()), text(is.as_deref()))
            }
            Self::Environment { name, was, is } => {
                write!(f, "environment {name:?}: {} -> {}", value(was), value(is))
            }
            Self::Salt { was, is } => {
                write!(f, "salt: {} -> {}", text(was.as_deref()), text(is.as_deref()))
            }
            Self::Order { counts: true } => f.write_str("order of the inputs: free -> counts"),
            Self::Order { counts: false } => f.write_str("order of the inputs: counts -> free"),
            Self::Input { position, was, is } => {
                f.write_str("input")?;
                position.map_or(Ok(()), |position| write!(f, " {position}"))?;
                write!(f, ": {} -> {}", input(was.as_ref()), input(is.as_ref()))
            }
            Self::Param { name, was, is } => {
                write!(f, "parameter {name:?}: {} -> {}", value(was), value(is))
            }
        }
    }
}

fn text(text: Option<&str>) -> String {
    text.map_or_else(|| "absent".to_owned(), |text| format!("{text:?}"))
}

/// A text alone is escaped as Rust does it, which tells apart what only looks alike.
fn value(value: &Option<Value>) -> String {
    match value {
        None => text(None),
        Some(Value::Text(it)) => text(Some(it)),
        Some(value) => to_json(value).to_string(),
    }
}

fn input(input: Option<&Input>) -> String {
    let Some(input) = input else { return text(None) };
    let source = match input.source {
        Source::Record(id) => format!("record {id}"),
        Source::Content(digest) => format!("content {digest}"),
    };
    input.role().map_or_else(|| source.clone(), |role| format!("{role:?} = {source}"))
}

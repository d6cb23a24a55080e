use std::{
    collections::{BTreeMap, HashMap},
    iter,
};

use larder_storage::{Digest, Error, ErrorKind, Result};
use serde::Serialize;

use crate::{Id, Value, encoding};

mod differences;
mod json;
#[cfg(test)]
mod tests;

pub use differences::Difference;

/// What produced a result: an operation, what went into it, and its parameters.
///
/// Two results of one provenance are the same result. Inputs keep their order, so `subtract(a, b)` is not
/// `subtract(b, a)`; where the order truly does not matter, [`unordered_inputs`](Self::unordered_inputs) says so.
///
/// ```
/// use larder_provenance::Provenance;
/// # use larder_storage::Digest;
/// # let (signal, control) = (Digest::of(b"signal"), Digest::of(b"control"));
/// let made = Provenance::new("subtract").input(signal).input_as("background", control).param("window", 500);
/// let turned = Provenance::new("subtract").input(control).input_as("background", signal).param("window", 500);
/// assert_ne!(made.digest(), turned.digest());
/// ```
///
/// What is only [recorded](Self::recorded) is no part of the [key](Self::digest), and of equality it is: provenances of
/// one key name one result even where they are not equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    operation: String,
    code_version: Option<String>,
    environment: BTreeMap<String, Value>,
    salt: Option<String>,
    // Sorted whenever it is not ordered, so that equality and the digest agree.
    inputs: Vec<Input>,
    ordered: bool,
    params: BTreeMap<String, Value>,
    recorded: BTreeMap<String, Value>,
}

/// One thing that went into an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    role: Option<String>,
    source: Source,
}

impl Input {
    /// The part that the input plays, where it was named.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// What the input is.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

/// What an [`Input`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A stored result. It has to be in the store when what was made from it is stored, and may go later.
    Record(Id),
    /// Something outside every store, known by the BLAKE3 digest of its content.
    Content(Digest),
}

impl From<Id> for Source {
    fn from(id: Id) -> Self {
        Self::Record(id)
    }
}

impl From<Digest> for Source {
    fn from(digest: Digest) -> Self {
        Self::Content(digest)
    }
}

impl Provenance {
    /// A provenance without inputs and parameters.
    pub fn new(operation: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            code_version: None,
            environment: BTreeMap::new(),
            salt: None,
            inputs: Vec::new(),
            ordered: true,
            params: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
    }

    /// Sets the version of the operation's code: raise it when the code gives other results.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.code_version = Some(version.into());
        self
    }

    /// Sets something about the toolchain or the machine that the result depends on, such as the version of a library
    /// or the instruction set, in place of an earlier one of the same name. What differs from machine to machine without
    /// changing the result, such as a path or a host, does not belong here: no other machine would find the result.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets a text that has no meaning but to be another one: with a new salt no result from before is found, which
    /// disowns those that turned out to be wrong.
    #[must_use]
    pub fn salt(mut self, salt: impl Into<String>) -> Self {
        self.salt = Some(salt.into());
        self
    }

    /// Adds an input after those that are there.
    #[must_use]
    pub fn input(self, source: impl Into<Source>) -> Self {
        self.add(None, source.into())
    }

    /// Adds an input that plays a named part.
    #[must_use]
    pub fn input_as(self, role: impl Into<String>, source: impl Into<Source>) -> Self {
        self.add(Some(role.into()), source.into())
    }

    /// Adds inputs, and declares that the order of no input of this provenance matters, as in a sum. How often each one
    /// occurs does matter.
    #[must_use]
    pub fn unordered_inputs<S: Into<Source>>(
        mut self,
        sources: impl IntoIterator<Item = S>,
    ) -> Self {
        self.ordered = false;
        self.inputs
            .extend(sources.into_iter().map(|source| Input { role: None, source: source.into() }));
        self.inputs.sort();
        self
    }

    /// Sets a parameter, in place of an earlier one of the same name.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Sets each field of a struct, or each entry of a map, as a parameter, in place of an earlier one of the same name.
    /// [`Value::of`] says what becomes of each type.
    ///
    /// ```
    /// use larder_provenance::Provenance;
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Settings {
    ///     window: u32,
    ///     threshold: f32,
    ///     strands: Option<Strands>,
    /// }
    ///
    /// #[derive(Serialize)]
    /// enum Strands {
    ///     Both,
    /// }
    ///
    /// let settings = Settings { window: 500, threshold: 0.5, strands: Some(Strands::Both) };
    /// let made = Provenance::new("call.peaks").params_of(&settings)?;
    /// let same = Provenance::new("call.peaks").param("window", 500).param("threshold", 0.5).param("strands", "Both");
    /// assert_eq!(made, same);
    /// # Ok::<_, larder_storage::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid` where it is neither a struct nor a map, and as [`Value::of`], with the name of the field.
    pub fn params_of(mut self, fields: &(impl Serialize + ?Sized)) -> Result<Self> {
        self.params.extend(Value::entries_of(fields)?);
        Ok(self)
    }

    /// Sets a parameter that is recorded with the result and is no part of the key, because the result does not depend on
    /// it: the number of threads, say. One of the same name is replaced. Where a result is found that was recorded with
    /// another value, it stays as it was recorded.
    #[must_use]
    pub fn recorded(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.recorded.insert(name.into(), value.into());
        self
    }

    /// The name of the operation.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The version of the operation's code, where one was given.
    pub fn code_version(&self) -> Option<&str> {
        self.code_version.as_deref()
    }

    /// What the result depends on of the toolchain or the machine, by name.
    pub fn environment_items(&self) -> &BTreeMap<String, Value> {
        &self.environment
    }

    /// The salt, where one was given.
    pub fn salt_text(&self) -> Option<&str> {
        self.salt.as_deref()
    }

    /// The inputs, in their order or, where it does not matter, sorted.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Whether the order of the inputs matters.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// The parameters by name.
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    /// The parameters by name that are recorded and no part of the key.
    pub fn recorded_params(&self) -> &BTreeMap<String, Value> {
        &self.recorded
    }

    /// The key of this provenance: the digest of its [encoding], which leaves out what is only recorded.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    fn add(mut self, role: Option<String>, source: Source) -> Self {
        self.inputs.push(Input { role, source });
        if !self.ordered {
            self.inputs.sort();
        }
        self
    }

    /// The same with other names of inputs that are records, and with `seen`, which is of the inputs in their order, in the
    /// order that they have then.
    pub(crate) fn renamed(
        &self,
        names: &HashMap<Id, Id>,
        seen: &[Option<Digest>],
    ) -> (Self, Vec<Option<Digest>>) {
        let rename = |input: &Input| Input {
            source: match input.source {
                Source::Record(id) => Source::Record(names.get(&id).copied().unwrap_or(id)),
                content @ Source::Content(_) => content,
            },
            ..input.clone()
        };
        let seen = seen.iter().copied().chain(iter::repeat(None));
        let mut inputs: Vec<_> = self.inputs.iter().map(rename).zip(seen).collect();
        if !self.ordered {
            inputs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let (inputs, seen) = inputs.into_iter().unzip();
        (Self { inputs, ..self.clone() }, seen)
    }

    /// Refuses what the JSON form could not hold.
    pub(crate) fn check(&self) -> Result<()> {
        let deep = |(name, value): (&String, &Value)| {
            value.is_deeper_than(Value::MAX_DEPTH).then(|| name.clone())
        };
        let mut values = self.params.iter().chain(&self.environment).chain(&self.recorded);
        values.find_map(deep).map_or(Ok(()), |name| {
            let message = format!(
                "the value of {name:?} nests more than {} levels deep: flatten it",
                Value::MAX_DEPTH
            );
            Err(Error::new(ErrorKind::Invalid, message))
        })
    }
}

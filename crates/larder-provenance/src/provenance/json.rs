//! The JSON form of a provenance, in which it is stored.

use std::collections::BTreeMap;

use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{Input, Provenance, Source};
use crate::{
    Value,
    encoding::ENCODING_FORMAT_VERSION,
    value::json::{from_json, to_json},
};

type Values = Map<String, Json>;

/// A member that this version does not know might be one that counts, so it is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: u32,
    operation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    environment: Values,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    ordered: bool,
    inputs: Vec<InputForm>,
    params: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    recorded: Values,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl Provenance {
    /// The provenance as one line of JSON, lossless: [`from_json`](Self::from_json) gives an equal one.
    ///
    /// `{"format": 1, "operation": .., "version": .., "environment": {..}, "salt": .., "ordered": true, "inputs":
    /// [{"role": .., "id": ..}], "params": {..}, "recorded": {..}}`, where an input outside every store has `"content"`,
    /// a digest, instead of `"id"`, and what is absent or empty is left out but for `inputs` and `params`. Values that
    /// JSON has no exact form for are objects of one member, which names the type: `{"int": ..}` beyond 64 bits,
    /// `{"float": "nan" | "inf" | "-inf"}`, `{"bytes": hexadecimal}`, `{"map": {..}}`. A number is a float exactly if it
    /// has a `.` or an exponent.
    pub fn to_json(&self) -> String {
        let form = Form {
            format: ENCODING_FORMAT_VERSION,
            operation: self.operation.clone(),
            version: self.code_version.clone(),
            environment: to_forms(&self.environment),
            salt: self.salt.clone(),
            ordered: self.ordered,
            inputs: self.inputs.iter().map(InputForm::from).collect(),
            params: to_forms(&self.params),
            recorded: to_forms(&self.recorded),
        };
        serde_json::json!(form).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// `Format` where the text is something else, or of a newer version.
    pub fn from_json(text: &str) -> Result<Self> {
        let form: Form = serde_json::from_str(text).map_err(|error| unread(text, error))?;
        check_format(form.format)?;
        let mut inputs =
            form.inputs.into_iter().map(Input::try_from).collect::<Result<Vec<_>>>()?;
        if !form.ordered {
            inputs.sort();
        }
        Ok(Self {
            operation: form.operation,
            code_version: form.version,
            environment: from_forms(form.environment)?,
            salt: form.salt,
            inputs,
            ordered: form.ordered,
            params: from_forms(form.params)?,
            recorded: from_forms(form.recorded)?,
        })
    }
}

fn to_forms(values: &BTreeMap<String, Value>) -> Values {
    values.iter().map(|(name, value)| (name.clone(), to_json(value))).collect()
}

fn from_forms(values: Values) -> Result<BTreeMap<String, Value>> {
    let values = values.into_iter().map(|(name, value)| Some((name, from_json(value)?)));
    values.collect::<Option<_>>().ok_or_else(|| wrong("has a value of an unknown form"))
}

/// Why the text is no form: a newer one may have members of its own.
fn unread(text: &str, error: serde_json::Error) -> Error {
    let newer = serde_json::from_str(text).ok();
    let newer = newer.and_then(|Version { format }| check_format(format).err());
    newer.unwrap_or_else(|| wrong("is not the JSON form of one").with_source(error))
}

fn check_format(format: u32) -> Result<()> {
    if format <= ENCODING_FORMAT_VERSION {
        return Ok(());
    }
    Err(wrong(&format!(
        "has format {format} and this Larder knows {ENCODING_FORMAT_VERSION}: upgrade Larder"
    )))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Format, format!("the provenance {what}"))
}

fn unreadable(error: Error) -> Error {
    wrong("has an input that cannot be read").with_source(error)
}

impl From<&Input> for InputForm {
    fn from(input: &Input) -> Self {
        let (id, content) = match input.source {
            Source::Record(id) => (Some(id.to_string()), None),
            Source::Content(digest) => (None, Some(digest.to_string())),
        };
        Self { role: input.role.clone(), id, content }
    }
}

impl TryFrom<InputForm> for Input {
    type Error = Error;

    fn try_from(form: InputForm) -> Result<Self> {
        let source = match (form.id, form.content) {
            (Some(id), None) => Source::Record(id.parse().map_err(unreadable)?),
            (None, Some(digest)) => Source::Content(digest.parse().map_err(unreadable)?),
            _ => return Err(wrong("has an input that is neither an id nor a digest")),
        };
        Ok(Self { role: form.role, source })
    }
}

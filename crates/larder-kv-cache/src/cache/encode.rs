use larder_storage::{Bytes, Error, ErrorKind, Result, json};
use serde::{Serialize, de::DeserializeOwned};

use super::KvCache;
use crate::{Attributes, engine::Value, namespace};

impl KvCache {
    pub(super) fn value<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        attributes: &Attributes,
    ) -> Result<Value> {
        let json = self.encode(key, value)?;
        Ok(Value { json, ..self.attributed(attributes) })
    }

    /// No value yet, with these attributes.
    pub(super) fn attributed(&self, attributes: &Attributes) -> Value {
        Value {
            json: Bytes::new(),
            expires_at: attributes.expires_at(self.options.time_to_live, || self.now()),
            tags: attributes.tags.clone(),
        }
    }

    pub(super) fn encode<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<Bytes> {
        self.check_key(key)?;
        let json = json::encode(value).map_err(|error| {
            self.refuse(format!("the value for {} has no form in JSON", self.place(key)))
                .with_source(error)
        })?;
        self.check_len(key, json.len())?;
        Ok(json.into())
    }

    pub(super) fn check_key(&self, key: &str) -> Result<()> {
        if key.len() <= Self::MAX_KEY_LEN {
            return Ok(());
        }
        let (place, limit) = (self.place(key), Self::MAX_KEY_LEN);
        Err(self.refuse(format!("{place} is longer than {limit} bytes: hash the key first")))
    }

    /// Refuses what SQLite would, before it is held for a save that could then only fail.
    pub(super) fn check_len(&self, key: &str, len: usize) -> Result<()> {
        if len <= Self::MAX_VALUE_LEN {
            return Ok(());
        }
        let (place, limit) = (self.place(key), Self::MAX_VALUE_LEN);
        Err(self.refuse(format!(
            "the value for {place} has {len} bytes as JSON and may have {limit}: split it"
        )))
    }

    pub(super) fn decode<T: DeserializeOwned>(&self, key: &str, json: &[u8]) -> Result<T> {
        serde_json::from_slice(json).map_err(|error| {
            let message = format!("the value of {} is not of the type asked for", self.place(key));
            Error::new(ErrorKind::Format, message).at_path(self.path()).with_source(error)
        })
    }

    fn refuse(&self, message: String) -> Error {
        Error::new(ErrorKind::Invalid, message).at_path(self.path())
    }

    /// Names an entry in a message, on one line.
    fn place(&self, key: &str) -> String {
        namespace::place(&self.namespace, key)
    }
}

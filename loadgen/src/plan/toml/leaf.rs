//! Values of a plan as they are written, with the JSON schema of each.
//!
//! Every one may be text with `${__P(name,default)}` in it, a number or a rate included, so they
//! are read as what they look like, and parsed when properties have been filled in.
//!
//! Invariant: a kind's schema takes whatever its parser takes.
//!
//! Deliberately absent: bounds and what values mean.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::{Value, json};

/// A string, a number, or `true` or `false`.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Scalar {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl fmt::Display for Scalar {
    /// The text that is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Flag(flag) => write!(f, "{flag}"),
            Scalar::Integer(number) => write!(f, "{number}"),
            Scalar::Float(number) => write!(f, "{number}"),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}

/// What a kind of value parses into.
pub(super) trait Kind {
    /// The result.
    type Out;
    /// In the schema.
    const NAME: &'static str;
    /// What would have been right.
    fn expected() -> String;
    /// From its text.
    fn parse(text: &str) -> Option<Self::Out>;
    /// Without properties.
    fn schema() -> Value;
}

/// A value of a kind, as it is written.
#[derive(Debug)]
pub(super) struct Leaf<K> {
    pub(super) scalar: Scalar,
    kind: PhantomData<K>,
}

impl<K> From<Scalar> for Leaf<K> {
    fn from(scalar: Scalar) -> Leaf<K> {
        Leaf { scalar, kind: PhantomData }
    }
}

/// Text whose references are filled in while the plan runs.
#[derive(Debug)]
pub(super) struct TemplateText(pub(super) Scalar);

impl From<Scalar> for TemplateText {
    fn from(scalar: Scalar) -> TemplateText {
        TemplateText(scalar)
    }
}

/// Either a plain value or a table that says more.
#[derive(Debug)]
pub(super) enum Either<L, T> {
    /// `size = 100`
    Leaf(L),
    /// `size = { min = 100, max = 200 }`
    Table(T),
}

/// One value, or a list of them.
#[derive(Debug)]
pub(super) struct OneOrMany<L>(pub(super) Vec<L>);

impl<'de, K> Deserialize<'de> for Leaf<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Leaf<K>, D::Error> {
        match deserializer.deserialize_any(Shape::<IgnoredAny>::SCALAR)? {
            Found::Scalar(scalar) => Ok(scalar.into()),
            Found::Table(_) | Found::Many(_) => Err(mismatch()),
        }
    }
}

impl<'de> Deserialize<'de> for TemplateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TemplateText, D::Error> {
        match deserializer.deserialize_any(Shape::<IgnoredAny>::SCALAR)? {
            Found::Scalar(scalar) => Ok(scalar.into()),
            Found::Table(_) | Found::Many(_) => Err(mismatch()),
        }
    }
}

impl<'de, L: From<Scalar>, T: Deserialize<'de>> Deserialize<'de> for Either<L, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Either<L, T>, D::Error> {
        match deserializer.deserialize_any(Shape::<T>::TABLE)? {
            Found::Scalar(scalar) => Ok(Either::Leaf(scalar.into())),
            Found::Table(table) => Ok(Either::Table(table)),
            Found::Many(_) => Err(mismatch()),
        }
    }
}

impl<'de, L: From<Scalar>> Deserialize<'de> for OneOrMany<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMany<L>, D::Error> {
        match deserializer.deserialize_any(Shape::<IgnoredAny>::LIST)? {
            Found::Scalar(scalar) => Ok(OneOrMany(vec![scalar.into()])),
            Found::Many(scalars) => Ok(OneOrMany(scalars.into_iter().map(L::from).collect())),
            Found::Table(_) => Err(mismatch()),
        }
    }
}

/// What a visitor found.
enum Found<T> {
    Scalar(Scalar),
    Table(T),
    Many(Vec<Scalar>),
}

/// A visitor that takes scalars, and what else it is told.
struct Shape<T> {
    tables: bool,
    lists: bool,
    table: PhantomData<T>,
}

impl<T> Shape<T> {
    const SCALAR: Shape<T> = Shape { tables: false, lists: false, table: PhantomData };
    const TABLE: Shape<T> = Shape { tables: true, lists: false, table: PhantomData };
    const LIST: Shape<T> = Shape { tables: false, lists: true, table: PhantomData };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Shape<T> {
    type Value = Found<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tables, self.lists) {
            (true, _) => "a string, a number or a table",
            (_, true) => "a string, a number or a list of them",
            _ => "a string, a number, true or false",
        })
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Found<T>, E> {
        Ok(Found::Scalar(Scalar::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found<T>, E> {
        Ok(Found::Scalar(Scalar::Integer(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found<T>, E> {
        Ok(Found::Scalar(Scalar::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<T>, E> {
        Ok(Found::Scalar(Scalar::Text(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Found<T>, A::Error> {
        if !self.tables {
            return Err(serde::de::Error::invalid_type(Unexpected::Map, &self));
        }
        T::deserialize(MapAccessDeserializer::new(map)).map(Found::Table)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found<T>, A::Error> {
        if !self.lists {
            return Err(serde::de::Error::invalid_type(Unexpected::Seq, &self));
        }
        let mut out = Vec::new();
        while let Some(item) = items.next_element::<Leaf<Any>>()? {
            out.push(item.scalar);
        }
        Ok(Found::Many(out))
    }
}

/// The kind of what is not parsed.
struct Any;

/// A shape found what it does not take: the visitor has refused that before.
fn mismatch<E: serde::de::Error>() -> E {
    E::custom("expected a string or a number")
}

impl<K: Kind> JsonSchema for Leaf<K> {
    fn schema_name() -> Cow<'static, str> {
        K::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let property = json!({ "type": "string", "pattern": r"\$\{" });
        let mut schema = K::schema();
        match schema.get_mut("anyOf").and_then(Value::as_array_mut) {
            Some(forms) => forms.push(property),
            None => schema = json!({ "anyOf": [schema, property] }),
        }
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), K::expected().into());
        }
        Schema::try_from(schema).unwrap_or_default()
    }
}

impl JsonSchema for TemplateText {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["string", "number", "boolean"],
            "description": "text, in which ${name} stands for a variable",
        })
    }
}

impl<L: JsonSchema, T: JsonSchema> JsonSchema for Either<L, T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", L::schema_name(), T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (leaf, table) = (generator.subschema_for::<L>(), generator.subschema_for::<T>());
        schemars::json_schema!({ "anyOf": [leaf, table] })
    }
}

impl<L: JsonSchema> JsonSchema for OneOrMany<L> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrList", L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<L>();
        schemars::json_schema!({ "anyOf": [item, { "type": "array", "items": item }] })
    }
}

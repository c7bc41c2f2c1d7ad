//! Values as postcard's bytes (<https://postcard.jamesmunns.com/wire-format>), in messages and in records.
//!
//! They are read by the crate itself, and written by what stands here: its own writing has bounds checks of varints that only code
//! compiled for speed leaves out, and firmware is compiled for size and has no way to panic.

use core::fmt;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{self, Serialize, Serializer};

/// Writes `value` to the beginning of `into` and returns how many bytes it takes; `None` where they have no room, and for what no
/// message has: maps, characters, and sequences of unknown length.
pub(crate) fn write<T: Serialize>(value: &T, into: &mut [u8]) -> Option<usize> {
    let mut writer = Writer { into, written: 0 };
    value.serialize(&mut writer).ok()?;
    Some(writer.written)
}

/// Reads a value from the beginning of `bytes`, and gives what lies behind it; `None` where they begin with no such value.
pub(crate) fn read<'b, T: serde::Deserialize<'b>>(bytes: &'b [u8]) -> Option<(T, &'b [u8])> {
    postcard::take_from_bytes(bytes).ok()
}

/// Landmarks by the bytes of their numbers, which is how they lie anyway: an f32 is read by way of a slice that could be too short.
pub(crate) mod landmarks {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Landmarks<N> = Option<[[N; 2]; 5]>;

    pub fn serialize<S: Serializer>(landmarks: &Landmarks<f32>, serializer: S) -> Result<S::Ok, S::Error> {
        landmarks.map(|points| points.map(|point| point.map(f32::to_le_bytes))).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Landmarks<f32>, D::Error> {
        let bytes = Landmarks::<[u8; 4]>::deserialize(deserializer)?;
        Ok(bytes.map(|points| points.map(|point| point.map(f32::from_le_bytes))))
    }
}

/// Bytes of a number that their type says, one after the other; serde's own way stands once for each of them.
pub(crate) fn array<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> core::result::Result<[u8; N], D::Error> {
    struct Bytes<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> core::result::Result<[u8; N], A::Error> {
            let mut bytes = [0; N];
            for byte in &mut bytes {
                *byte = seq.next_element()?.ok_or_else(|| A::Error::custom("too few bytes"))?;
            }
            Ok(bytes)
        }
    }

    deserializer.deserialize_tuple(N, Bytes)
}

struct Writer<'b> {
    into: &'b mut [u8],
    written: usize,
}

/// Why a value is not written.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room, or nothing that messages have")
    }
}

impl core::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Refused
    }
}

type Result<T = ()> = core::result::Result<T, Refused>;

impl Writer<'_> {
    fn byte(&mut self, byte: u8) -> Result {
        *self.into.get_mut(self.written).ok_or(Refused)? = byte;
        self.written += 1;
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result {
        bytes.iter().try_for_each(|&byte| self.byte(byte))
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn varint(&mut self, mut value: u64) -> Result {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80)?;
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// Numbers near zero are short ones, below it too.
    fn zigzag(&mut self, value: i64) -> Result {
        self.varint((value << 1 ^ value >> 63) as u64)
    }
}

/// Methods that write one number each.
macro_rules! numbers {
    ($($method:ident($ty:ty): $writer:ident, $value:ident => $written:expr;)*) => {
        $(fn $method(self, $value: $ty) -> Result {
            self.$writer($written)
        })*
    };
}

/// Traits for what has parts, which lie one after the other.
macro_rules! parts {
    ($($of:ident::$method:ident($($name:ty)?);)*) => {
        $(impl ser::$of for &mut Writer<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? part: &T) -> Result {
                part.serialize(&mut **self)
            }

            fn end(self) -> Result {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = ser::Impossible<(), Refused>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_bool(bool): byte, value => value.into();
        serialize_u8(u8): byte, value => value;
        serialize_u16(u16): varint, value => value.into();
        serialize_u32(u32): varint, value => value.into();
        serialize_u64(u64): varint, value => value;
        serialize_i8(i8): byte, value => value as u8;
        serialize_i16(i16): zigzag, value => value.into();
        serialize_i32(i32): zigzag, value => value.into();
        serialize_i64(i64): zigzag, value => value;
        serialize_f32(f32): bytes, value => &value.to_le_bytes();
        serialize_f64(f64): bytes, value => &value.to_le_bytes();
    }

    fn serialize_char(self, _: char) -> Result {
        Err(Refused)
    }

    fn serialize_str(self, text: &str) -> Result {
        self.serialize_bytes(text.as_bytes())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result {
        self.varint(bytes.len() as u64)?;
        self.bytes(bytes)
    }

    fn serialize_none(self) -> Result {
        self.byte(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        self.byte(1)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, variant: u32, _: &'static str) -> Result {
        self.varint(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result {
        self.varint(variant.into())?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self> {
        self.varint(length.ok_or(Refused)? as u64)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self> {
        self.varint(variant.into())?;
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        Err(Refused)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        variant: u32,
        of: &'static str,
        fields: usize,
    ) -> Result<Self> {
        self.serialize_tuple_variant(name, variant, of, fields)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result {
        Err(Refused)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use heapless::{String, Vec};
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    /// Every shape that serde knows, but those that are refused.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        Newtype(u64),
        Tuple(i8, i16, i32, i64, bool),
        Struct { small: u8, middle: u16, large: u32, real: f32, wide: f64, none: (), nothing: Nothing },
        Text(String<200>),
        Maybe(Option<Pair>),
        Many(Vec<u16, 150>),
        Array([u16; 3]),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Nothing;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Pair(u32, i64);

    fn shapes() -> impl Strategy<Value = Shape> {
        let pair = || any::<(u32, i64)>().prop_map(|(a, b)| Pair(a, b));
        prop_oneof![
            Just(Shape::Unit),
            any::<u64>().prop_map(Shape::Newtype),
            any::<(i8, i16, i32, i64, bool)>().prop_map(|(a, b, c, d, e)| Shape::Tuple(a, b, c, d, e)),
            any::<(u8, u16, u32, i16)>().prop_map(|(small, middle, large, real)| Shape::Struct {
                small,
                middle,
                large,
                real: real.into(),
                wide: 1.0 / f64::from(large),
                none: (),
                nothing: Nothing,
            }),
            "[a-zä-ü]{0,100}".prop_map(|text| Shape::Text(text.as_str().try_into().unwrap())),
            prop::option::of(pair()).prop_map(Shape::Maybe),
            prop::collection::vec(any::<u16>(), 0..150)
                .prop_map(|many| Shape::Many(many.into_iter().collect())),
            any::<[u16; 3]>().prop_map(Shape::Array),
        ]
    }

    proptest! {
        #[test]
        fn values_are_written_as_by_postcard(shape in shapes(), cut: prop::sample::Index) {
            let mut room = [0; 4096];
            let expected = postcard::to_slice(&shape, &mut room).unwrap().to_vec();
            let mut written = [0; 4096];
            let length = write(&shape, &mut written).unwrap();
            prop_assert_eq!(&written[..length], &expected);
            prop_assert_eq!(read::<Shape>(&written).unwrap().0, shape.clone());
            // Where the last byte has no room, nothing counts as written.
            prop_assert_eq!(write(&shape, &mut written[..cut.index(length)]), None);
        }
    }

    #[test]
    fn what_messages_do_not_have_is_refused() {
        assert_eq!(write(&'a', &mut [0; 16]), None);
    }
}

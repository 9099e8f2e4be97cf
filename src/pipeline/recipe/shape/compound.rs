//! What stands inside arrays, tables and enums, handed to serde one by one.

use serde::de::{self, DeserializeSeed, Visitor};

use super::{Misfit, Reader, Slot};

/// The items of an array.
pub(super) struct Items<'a> {
    array: Reader<'a>,
    slots: std::iter::Enumerate<std::vec::IntoIter<Slot<'a>>>,
}

impl<'a> Items<'a> {
    pub(super) fn new(array: Reader<'a>, slots: Vec<Slot<'a>>) -> Self {
        Self {
            array,
            slots: slots.into_iter().enumerate(),
        }
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        match self.slots.next() {
            Some((index, slot)) => seed
                .deserialize(self.array.below(&index.to_string(), slot))
                .map(Some),
            None => Ok(None),
        }
    }
}

/// The fields of a struct, all of them, present or not.
pub(super) struct Fields<'a> {
    table: Reader<'a>,
    slots: std::iter::Zip<std::slice::Iter<'static, &'static str>, std::vec::IntoIter<Slot<'a>>>,
    current: Option<(&'static str, Slot<'a>)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        table: Reader<'a>,
        fields: &'static [&'static str],
        slots: Vec<Slot<'a>>,
    ) -> Self {
        Self {
            table,
            slots: fields.iter().zip(slots),
            current: None,
        }
    }
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((field, slot)) = self.slots.next() else {
            return Ok(None);
        };
        self.current = Some((field, slot));
        seed.deserialize(de::value::StrDeserializer::new(field))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (field, slot) = self
            .current
            .take()
            .expect("serde asks for a key before its value");
        seed.deserialize(self.table.below(field, slot))
    }
}

/// A variant's name and what stands beside it.
pub(super) struct Variant<'a> {
    pub(super) name: &'static str,
    pub(super) reader: Reader<'a>,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name = seed.deserialize(de::value::StrDeserializer::<Misfit>::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        if let Slot::Present(node) = self.reader.slot {
            self.reader
                .misfit(&format!("{:?} alone, as a string", self.name), node);
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        let Self { name, mut reader } = self;
        match reader.slot {
            Slot::Missing(node) => {
                reader.misfit(&format!("a table {{ {name} = ... }}"), node);
                reader.slot = Slot::Placeholder;
            }
            Slot::Present(_) => reader.key = reader.below(name, Slot::Placeholder).key,
            Slot::Placeholder => {}
        }
        seed.deserialize(reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_tuple(self.reader, count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        de::Deserializer::deserialize_struct(self.reader, self.name, fields, visitor)
    }
}

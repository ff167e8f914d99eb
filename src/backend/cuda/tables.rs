//! What the host writes for a step: tables of all launches, in one piece of device memory and one copy.

use super::launches::LaunchKey;
use super::places::Places;
use crate::device::{Buffer, Pointer};
use bytemuck::Pod;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Room for some entries of one type.
#[derive(Debug)]
pub struct Section<T> {
    start: usize,
    capacity: usize,
    entry: PhantomData<T>,
}

impl<T> Clone for Section<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Section<T> {}

impl<T> Section<T> {
    /// Entries that it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// Hands out sections.
#[derive(Default)]
pub struct Sections {
    places: Places,
}

impl Sections {
    pub fn take<T>(&mut self, capacity: usize) -> Section<T> {
        Section { start: self.places.take::<T>(capacity), capacity, entry: PhantomData }
    }

    /// Of all sections.
    pub fn bytes(&self) -> usize {
        self.places.bytes()
    }
}

/// The host's copy of all sections, and where the device's lies.
pub struct Tables<'a> {
    buffer: &'a Buffer<u8>,
    pub bytes: Vec<u8>,
}

impl<'a> Tables<'a> {
    pub fn new(buffer: &'a Buffer<u8>, bytes: usize) -> Self {
        Self { buffer, bytes: vec![0; bytes] }
    }

    /// # Panics
    /// If the section ends before.
    pub fn pointer<T>(&self, section: &Section<T>, index: usize) -> Pointer {
        assert!(index <= section.capacity, "an entry of the section");
        Pointer::to(self.buffer, section.start + index * size_of::<T>())
    }

    /// # Panics
    /// If the section is shorter.
    pub fn write_each<'e, T: Pod>(&mut self, section: &Section<T>, entries: impl ExactSizeIterator<Item = &'e T>) {
        assert!(entries.len() <= section.capacity, "entries of the section");
        let places = self.bytes[section.start..].chunks_exact_mut(size_of::<T>());
        entries.zip(places).for_each(|(entry, place)| place.copy_from_slice(bytemuck::bytes_of(entry)));
    }

    /// # Panics
    /// If the section is shorter.
    pub fn write<T: Pod>(&mut self, section: &Section<T>, entries: &[T]) {
        assert!(entries.len() <= section.capacity, "entries of the section");
        let bytes: &[u8] = bytemuck::cast_slice(entries);
        self.bytes[section.start..section.start + bytes.len()].copy_from_slice(bytes);
    }
}

/// A table of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableName {
    /// Of a launch of a wave's tasks.
    Tasks(usize, TaskKind, LaunchKey),
    /// Another one of a wave.
    OfWave(usize, &'static str),
    OfStep(&'static str),
    /// Images of the mini-batches of so many data sets before.
    Pixels(usize),
}

/// What the tasks of a launch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskKind {
    Stages,
    Heads,
}

/// The most entries that each table of steps of one kind has had, so that the commands of a step are those of the step before but for the
/// contents of tables: blocks beyond a launch's tasks return at once.
#[derive(Default)]
pub struct Capacities {
    most: BTreeMap<TableName, usize>,
}

impl Capacities {
    /// Room for so many entries, or for the most that there were.
    pub fn room(&mut self, name: TableName, entries: usize) -> usize {
        let most = self.most.entry(name).or_default();
        *most = entries.max(*most);
        *most
    }

    /// Launches of tasks that a wave has had.
    pub fn launches(&self, wave: usize, kind: TaskKind) -> Vec<LaunchKey> {
        let key = |name: &TableName| match *name {
            TableName::Tasks(of, tasks, key) if (of, tasks) == (wave, kind) => Some(key),
            _ => None,
        };
        self.most.keys().filter_map(key).collect()
    }
}

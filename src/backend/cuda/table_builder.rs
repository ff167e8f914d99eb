//! Tables in the making: entries first, places when all are known.

use super::tables::{Capacities, Section, Sections, TableName, Tables};
use crate::device::{Command, Launch, Pointer};
use bytemuck::Pod;

/// Finds room for tables.
pub struct Builder<'a> {
    pub capacities: &'a mut Capacities,
    pub sections: Sections,
    /// Entries of every table that is launched.
    pub counts: Vec<u32>,
}

/// A table with its entries.
pub struct Table<T> {
    pub section: Section<T>,
    entries: Vec<T>,
    /// Place among the counts.
    count: usize,
}

impl Builder<'_> {
    /// Room for the most entries that there were.
    pub fn section<T>(&mut self, name: TableName, entries: usize) -> Section<T> {
        let room = self.capacities.room(name, entries);
        self.sections.take(room)
    }

    pub fn count(&mut self, entries: usize) -> usize {
        self.counts.push(entries as u32);
        self.counts.len() - 1
    }

    pub fn table<T>(&mut self, name: TableName, entries: Vec<T>) -> Table<T> {
        Table { section: self.section(name, entries.len()), count: self.count(entries.len()), entries }
    }
}

impl<T: Pod> Table<T> {
    pub fn fill(&self, tables: &mut Tables<'_>) {
        tables.write(&self.section, &self.entries);
    }

    /// Adds a launch, unless the table has never had an entry. `launch`: of so many entries.
    pub fn launch(
        &self,
        tables: &Tables<'_>,
        counts: &Section<u32>,
        commands: &mut Vec<Command>,
        launch: impl FnOnce(u32) -> Launch,
        arguments: &[Pointer],
    ) {
        if self.section.capacity() > 0 {
            let launch = launch(self.section.capacity() as u32);
            let arguments = [arguments, &[tables.pointer(counts, self.count)]].concat();
            commands.push(Command::Launch { launch, arguments });
        }
    }

    pub fn pointer(&self, tables: &Tables<'_>) -> Pointer {
        tables.pointer(&self.section, 0)
    }
}

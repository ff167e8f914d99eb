//! The mini-batches of a step: the images that are still to be gathered, and the labels.

use super::Cuda;
use super::table_builder::{Builder, Table};
use super::tables::{Section, TableName, Tables};
use super::wave::Waves;
use crate::backend::LoadedBatch;
use crate::data::cuda::{PixelTask, ResidentPixels, gather_pixels};
use crate::device::Command;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

pub struct Batches<'a> {
    /// Different ones.
    distinct: Vec<&'a LoadedBatch<Cuda>>,
    /// The first label of each, by its address.
    first_labels: HashMap<*const LoadedBatch<Cuda>, usize>,
    pub labels: Section<u8>,
    /// By data set.
    gathers: Vec<(Arc<ResidentPixels>, Table<PixelTask>)>,
}

impl<'a> Batches<'a> {
    pub fn new(builder: &mut Builder<'_>, waves: &Waves<'a>) -> Self {
        let mut distinct: Vec<&LoadedBatch<Cuda>> = Vec::new();
        let mut first_labels = HashMap::new();
        let mut labels = 0;
        for (lane, _) in waves.lanes() {
            if let Entry::Vacant(new) = first_labels.entry(std::ptr::from_ref(lane.batch)) {
                new.insert(labels);
                distinct.push(lane.batch);
                labels += lane.batch.labels.len();
            }
        }
        let mut by_set: Vec<(Arc<ResidentPixels>, Vec<PixelTask>)> = Vec::new();
        for gather in distinct.iter().filter_map(|batch| batch.pixels.to_gather()) {
            match by_set.iter_mut().find(|(set, _)| Arc::ptr_eq(set, &gather.set)) {
                Some((_, tasks)) => tasks.extend(gather.tasks),
                None => by_set.push((gather.set, gather.tasks)),
            }
        }
        let labels = builder.section::<u8>(TableName::OfStep("labels"), labels);
        let table = |(number, (set, tasks))| (set, builder.table(TableName::Pixels(number), tasks));
        Self { distinct, first_labels, labels, gathers: by_set.into_iter().enumerate().map(table).collect() }
    }

    /// Of a mini-batch of one of the lanes.
    pub fn first_label(&self, batch: &LoadedBatch<Cuda>) -> usize {
        self.first_labels[&std::ptr::from_ref(batch)]
    }

    pub fn fill(&self, tables: &mut Tables<'_>) {
        let labels: Vec<u8> = self.distinct.iter().flat_map(|batch| &batch.labels).copied().collect();
        tables.write(&self.labels, &labels);
        self.gathers.iter().for_each(|(_, table)| table.fill(tables));
    }

    pub fn commands(&self, tables: &Tables<'_>, counts: &Section<u32>, commands: &mut Vec<Command>) {
        for (set, table) in &self.gathers {
            let [pixels, numbers, shape] = set.pointers();
            let arguments = [table.pointer(tables), pixels, numbers, shape];
            table.launch(tables, counts, commands, |images| gather_pixels(set.shape, images), &arguments);
        }
    }

    /// Notes that the images were gathered.
    pub fn note_gathered(&self) {
        self.distinct.iter().for_each(|batch| batch.pixels.note_gathered());
    }
}

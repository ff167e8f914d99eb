//! The commands of a step, with the tables that they read.

use super::batches::Batches;
use super::gradients::Spread;
use super::memory::{Memory, zeros};
use super::places::Growing;
use super::step_end::End;
use super::table_builder::Builder;
use super::tables::{Capacities, Sections, TableName, Tables};
use super::update::Ending;
use super::wave::{Wave, Waves};
use super::wave_program::WaveProgram;
use crate::device::DeviceError;
use crate::ops::cuda::Storage;

/// Runs lanes, and what follows. `capacities`: of steps of the same kind.
///
/// # Errors
/// Not enough device memory, or a launch that fails.
pub fn run(
    memory: &mut Memory,
    tables: &mut Growing<u8>,
    storage: Storage,
    waves: &Waves<'_>,
    ending: &Ending<'_>,
    capacities: &mut Capacities,
) -> Result<(), DeviceError> {
    memory.reserve(&waves.sizes)?;
    let mut builder = Builder { capacities, sections: Sections::default(), counts: Vec::new() };
    let results = builder.capacities.room(TableName::OfStep("results"), waves.sizes.results.bytes());
    let spread = spread(waves);
    let batches = Batches::new(&mut builder, waves);
    let programs: Vec<WaveProgram<'_>> = (waves.waves.iter().enumerate())
        .map(|(number, wave)| {
            WaveProgram::new(&mut builder, memory, storage, (number, wave), &batches, ending, &spread)
        })
        .collect();
    let end = End::new(&mut builder, memory, waves, &programs, ending, &spread);
    let Builder { mut sections, counts, .. } = builder;
    let count_section = sections.take::<u32>(counts.len());

    tables.reserve(&memory.device, sections.bytes())?;
    let mut filled = Tables::new(tables.buffer(), sections.bytes());
    filled.write(&count_section, &counts);
    let mut commands = vec![zeros(&memory.results, results)];
    batches.fill(&mut filled);
    batches.commands(&filled, &count_section, &mut commands);
    for program in &programs {
        program.fill(&mut filled);
        program.commands(&filled, &count_section, &mut commands);
    }
    end.fill(&mut filled);
    end.commands(&filled, &count_section, &mut commands);
    let bytes = filled.bytes;
    tables.fill_with(&memory.device, &bytes)?;
    memory.device.run(&commands)?;
    batches.note_gathered();
    Ok(())
}

/// Which waves add to which gradients.
fn spread<'a>(waves: &'a Waves<'a>) -> Spread {
    let of_wave = |(number, wave): (usize, &'a Wave<'a>)| {
        let lanes = wave.lanes.iter().zip(&wave.placed);
        lanes.map(move |(lane, placed)| (number, lane.number, placed.program.gradients.as_slice()))
    };
    Spread::new(waves.waves.iter().enumerate().flat_map(of_wave))
}

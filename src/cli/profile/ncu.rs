//! What ncu (Nsight Compute) measured: the page `raw` of a report as CSV.
//!
//! Lines of the tool itself begin with `==`. The table begins with a line of the columns' names, of which the first is `ID`: what was
//! launched, then one column a metric. The next line has the units of the metrics, and empty cells before; then comes one line a launch.
//! Numbers may have commas between groups of digits.

use crate::files::{CsvError, FileError, line_of};
use std::path::Path;

const TIME: &str = "gpu__time_duration.sum";
const DRAM_BYTES: &str = "dram__bytes.sum";
const DRAM: &str = "dram__throughput.avg.pct_of_peak_sustained_elapsed";
const MULTIPROCESSORS: &str = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
const WARPS: &str = "sm__warps_active.avg.pct_of_peak_sustained_active";
const TENSOR: &str = "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active";

/// What ncu is asked to measure. The first two must be there.
pub const METRICS: [&str; 6] = [TIME, DRAM_BYTES, DRAM, MULTIPROCESSORS, WARPS, TENSOR];

const WAY_OUT: &str = "write it with `ncu --import REPORT --csv --page raw --print-units base`, as `crosstalk profile` without --ncu-csv says";

/// One launch.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredLaunch {
    /// Without its parameters.
    pub kernel: String,
    pub seconds: f64,
    /// Read from and written to memory.
    pub dram_bytes: f64,
    pub utilization: Utilization,
}

/// In percent of what the GPU can; `None` where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Utilization {
    pub dram: Option<f64>,
    pub multiprocessors: Option<f64>,
    /// Warps that are resident of those that can be: the occupancy that was achieved.
    pub warps: Option<f64>,
    pub tensor_cores: Option<f64>,
}

/// Reads all launches of a file.
///
/// # Errors
/// A file that cannot be read or has no such table, cells that are no numbers or have other units: with line and column.
pub fn read(path: &Path) -> Result<Vec<MeasuredLaunch>, CsvError> {
    let bytes = std::fs::read(path).map_err(|cause| FileError::new("read", path, cause))?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<MeasuredLaunch>, CsvError> {
    let wrong = |line: u64, problem: String| CsvError::Line { path: path.to_owned(), line, problem };
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let line = bytes[..cause.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        wrong(line, "it is not UTF-8 text; export the file again".to_owned())
    })?;
    let is_header = |line: &str| line.starts_with("\"ID\",") || line.starts_with("ID,");
    let mut lines = text.split_inclusive('\n');
    let before: Vec<&str> = lines.by_ref().take_while(|line| !is_header(line)).collect();
    let (skipped, start) = (before.len() as u64, before.iter().map(|line| line.len()).sum());
    if start == bytes.len() {
        if let Some(at) = before.iter().position(|line| line.contains("ERR_NVGPUCTRPERM")) {
            let problem = "ncu was not allowed to read the GPU's counters (ERR_NVGPUCTRPERM); run it as root, or let an administrator allow it";
            return Err(wrong(at as u64 + 1, problem.to_owned()));
        }
        return Err(wrong(
            skipped.max(1),
            format!("it ends without a table of ncu, whose first column is ID; {WAY_OUT}"),
        ));
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[start..]);
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|cause| {
            let line = cause.position().map_or(0, csv::Position::line);
            wrong(skipped + line, "it is not CSV; export the file again".to_owned())
        })?;
        let line = skipped + record.position().map_or(0, |position| line_of(&bytes[start..], position));
        if !record.get(0).is_some_and(|cell| cell.starts_with("==")) {
            records.push((line, record));
        }
    }
    let mut records = records.into_iter();
    let (header_line, header) =
        records.next().ok_or_else(|| wrong(skipped + 1, format!("it has no columns; {WAY_OUT}")))?;
    let place = |column: &str| header.iter().position(|name| name == column);
    if place("Metric Name").is_some() {
        return Err(wrong(header_line, format!("this is another page of the report than `raw`; {WAY_OUT}")));
    }
    let needed = |column: &str| {
        place(column).ok_or_else(|| wrong(header_line, format!("it has no column `{column}`; {WAY_OUT}")))
    };
    let [id, kernel, time, dram_bytes] = ["ID", "Kernel Name", TIME, DRAM_BYTES].map(needed);
    let [id, kernel, time, dram_bytes] = [id?, kernel?, time?, dram_bytes?];
    let units = records.next().filter(|(_, record)| record.get(id) == Some("") && record.len() == header.len());
    let (unit_line, units) = units.ok_or_else(|| {
        wrong(header_line + 1, format!("it should have the units of the columns, with an empty ID; {WAY_OUT}"))
    })?;
    let factor = |column: &'static str, place: usize, known: &[(&str, f64)]| {
        let text = &units[place];
        known.iter().find(|(unit, _)| *unit == text).map(|(_, factor)| *factor).ok_or_else(|| {
            let problem = format!("is no unit that is known there; {WAY_OUT}");
            CsvError::Cell { path: path.to_owned(), line: unit_line, column, text: text.to_owned(), problem }
        })
    };
    let (second, byte) = (factor(TIME, time, &TIMES)?, factor(DRAM_BYTES, dram_bytes, &SIZES)?);
    let percents = [DRAM, MULTIPROCESSORS, WARPS, TENSOR].map(|column| (column, place(column)));
    for (column, place) in percents.iter().filter_map(|(column, place)| Some((*column, (*place)?))) {
        factor(column, place, &[("%", 1.0)])?;
    }

    let mut launches = Vec::new();
    for (line, record) in records {
        if record.len() != header.len() {
            let (found, columns) = (record.len(), header.len());
            return Err(wrong(
                line,
                format!("it has {found} cells, but there are {columns} columns; export the file again"),
            ));
        }
        let cell = |column: &'static str, text: &str, problem: &str| CsvError::Cell {
            path: path.to_owned(),
            line,
            column,
            text: text.to_owned(),
            problem: problem.to_owned(),
        };
        if record[id].parse::<u64>().is_err() {
            return Err(cell("ID", &record[id], "is no number of a launch; export the file again"));
        }
        let measured = |column: &'static str, place: usize| {
            let found = number(&record[place]).filter(|number| *number >= 0.0);
            found.ok_or_else(|| cell(column, &record[place], "is no measurement; profile again"))
        };
        // What a GPU cannot count, ncu calls n/a.
        let [dram, multiprocessors, warps, tensor_cores] =
            percents.map(|(_, place)| place.and_then(|place| number(&record[place])));
        let name = &record[kernel];
        launches.push(MeasuredLaunch {
            kernel: name.split('(').next().unwrap_or(name).trim().to_owned(),
            seconds: measured(TIME, time)? * second,
            dram_bytes: measured(DRAM_BYTES, dram_bytes)? * byte,
            utilization: Utilization { dram, multiprocessors, warps, tensor_cores },
        });
    }
    if launches.is_empty() {
        return Err(wrong(
            unit_line,
            "no launch follows: ncu saw no kernel in the window; profile with --device cuda".to_owned(),
        ));
    }
    Ok(launches)
}

/// Older and newer names of units.
const TIMES: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("nsecond", 1e-9),
    ("us", 1e-6),
    ("usecond", 1e-6),
    ("ms", 1e-3),
    ("msecond", 1e-3),
    ("s", 1.0),
    ("second", 1.0),
];

const SIZES: [(&str, f64); 5] = [("byte", 1.0), ("Kbyte", 1e3), ("Mbyte", 1e6), ("Gbyte", 1e9), ("Tbyte", 1e12)];

fn number(text: &str) -> Option<f64> {
    text.replace(',', "").parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    // No file of ncu's own was available: these are written after its documentation ("Nsight Compute CLI": --page raw, --csv,
    // --print-units) and after tables that users of it publish, which agree in: the tool's lines before and after, the eleven columns
    // before the metrics, quotes around every cell, the row of units, commas in large numbers, n/a.
    const TABLE: &str = r#"==PROF== Connected to process 4711 (/opt/crosstalk)
==PROF== Profiling "node_forward_bf16" - 0: 0%....50%....100% - 3 passes
paper: 1 step(s)
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","dram__bytes.sum","dram__throughput.avg.pct_of_peak_sustained_elapsed","gpu__time_duration.sum","sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active","sm__throughput.avg.pct_of_peak_sustained_elapsed","sm__warps_active.avg.pct_of_peak_sustained_active"
"","","","","","","","","","","","byte","%","ns","%","%","%"
"0","4711","crosstalk","127.0.0.1","node_forward_bf16","1","13","(256, 1, 1)","(2048, 1, 1)","0","9.0","100,663,296","81.25","37,120","0","20.5","68.75"
"1","4711","crosstalk","127.0.0.1","add_gradients(const Gradient *, const Term *, const unsigned int *)","1","13","(256, 1, 1)","(64, 3, 1)","0","9.0","1,024","1.5","2,048","n/a","0.25","12"

==PROF== Disconnected from process 4711
"#;

    fn read(text: &str) -> Result<Vec<MeasuredLaunch>, CsvError> {
        parse(Path::new("p.csv"), text.as_bytes())
    }

    fn refused(text: &str) -> String {
        read(text).expect_err("a refusal").to_string()
    }

    #[test]
    fn launches_are_read_in_their_units() {
        let utilization = |[dram, multiprocessors, warps]: [f64; 3], tensor_cores| Utilization {
            dram: Some(dram),
            multiprocessors: Some(multiprocessors),
            warps: Some(warps),
            tensor_cores,
        };
        let node = MeasuredLaunch {
            kernel: "node_forward_bf16".to_owned(),
            seconds: 37_120.0 * 1e-9,
            dram_bytes: 100_663_296.0,
            utilization: utilization([81.25, 20.5, 68.75], Some(0.0)),
        };
        let sum = MeasuredLaunch {
            kernel: "add_gradients".to_owned(),
            seconds: 2048.0 * 1e-9,
            dram_bytes: 1024.0,
            utilization: utilization([1.5, 0.25, 12.0], None),
        };
        assert_eq!(read(TABLE).expect("a table"), [node.clone(), sum]);
        // Units of older versions, and without --print-units base.
        let older = TABLE.replace("\"byte\",\"%\",\"ns\"", "\"Kbyte\",\"%\",\"usecond\"");
        let first = read(&older).expect("a table").remove(0);
        assert_eq!((first.seconds, first.dram_bytes), (37_120.0 * 1e-6, 100_663_296.0 * 1e3));
        // Of metrics that were not asked for, nothing is said.
        let unasked = TABLE.replace(TENSOR, "l1tex__t_bytes.sum").replace("n/a", "5");
        let first = read(&unasked).expect("a table").remove(0);
        assert_eq!(first.utilization, utilization([81.25, 20.5, 68.75], None));
    }

    #[test]
    fn what_is_no_such_table_is_refused_by_line_and_column() {
        let way_out = "; write it with `ncu --import REPORT --csv --page raw --print-units base`, as `crosstalk profile` without --ncu-csv says";
        for (text, line) in [("", 1), ("==PROF== Connected\n", 1), ("a,b\n1,2\n", 2)] {
            let told = format!("p.csv, line {line}: it ends without a table of ncu, whose first column is ID{way_out}");
            assert_eq!(refused(text), told);
        }
        let forbidden = "==PROF== Connected\n==ERROR== ERR_NVGPUCTRPERM - The user does not have permission\n";
        assert!(refused(forbidden).starts_with("p.csv, line 2: ncu was not allowed to read the GPU's counters"));
        let (head, rest) = TABLE.split_once("\"\",\"\"").expect("units");
        let details = "\"ID\",\"Kernel Name\",\"Section Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n";
        assert!(refused(details).starts_with("p.csv, line 1: this is another page of the report than `raw`; write it"));
        assert!(refused(head).starts_with("p.csv, line 5: it should have the units of the columns"));
        let (_, without_units) = rest.split_once('\n').expect("lines");
        assert!(refused(&format!("{head}{without_units}")).starts_with("p.csv, line 5: it should have the units"));
        let column = refused(&TABLE.replace("dram__bytes.sum", "dram__bytes_read.sum"));
        assert_eq!(column, format!("p.csv, line 4: it has no column `dram__bytes.sum`{way_out}"));
        let unit = refused(&TABLE.replace("\"ns\"", "\"cycle\""));
        assert_eq!(unit, format!("p.csv, line 5, column `{TIME}`: `cycle` is no unit that is known there{way_out}"));
        let cell = refused(&TABLE.replace("2,048", "n/a"));
        assert_eq!(cell, format!("p.csv, line 7, column `{TIME}`: `n/a` is no measurement; profile again"));
        let id = refused(&TABLE.replace("\"1\",\"4711\"", "\"one\",\"4711\""));
        assert_eq!(id, "p.csv, line 7, column `ID`: `one` is no number of a launch; export the file again");
        let short = refused(&TABLE.replace(",\"12\"\n", "\n"));
        assert_eq!(short, "p.csv, line 7: it has 16 cells, but there are 17 columns; export the file again");
        let nothing: String = TABLE.lines().take(5).map(|line| format!("{line}\n")).collect();
        assert!(refused(&nothing).starts_with("p.csv, line 5: no launch follows"));
        let bytes = [b"==PROF==\n", &[0xff, 0xfe][..]].concat();
        let error = parse(Path::new("p.csv"), &bytes).expect_err("a refusal").to_string();
        assert_eq!(error, "p.csv, line 2: it is not UTF-8 text; export the file again");
    }
}

//! `crosstalk space`: which search spaces there are, and what is in one.

mod draw;

use std::fmt::Write as _;

use super::child;
use crate::ops::LayerWindow;
use crate::space::{Arrangement, Candidate, Cell, Encoding, Layer, Normalization, OutputRule, Space};

#[derive(Debug, clap::Args)]
pub struct SpaceArguments {
    #[command(subcommand)]
    command: SpaceCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SpaceCommand {
    /// List the built-in search spaces.
    List,
    /// Show a search space: skeleton, cells, candidates, children, normalization.
    Show {
        /// A built-in space, or the path of a file that ends in `.toml`.
        #[arg(value_name = "NAME_OR_FILE")]
        space: String,
    },
    /// Draw the cells of a search space, or of one of its children, as an SVG picture.
    Draw(draw::DrawArguments),
    /// Show one child: every way to write it, whether it is connected, its canonical string.
    Child {
        /// A built-in space, or the path of a file that ends in `.toml`.
        #[arg(value_name = "NAME_OR_FILE")]
        space: String,
        /// In the space's notation; for nasbench201 also an index, or NASLib's list as `(4, 3, 3, 1, 0, 0)`; for darts also a genotype.
        child: String,
    },
}

/// Runs the command and prints to stdout.
///
/// # Errors
/// A space that is unknown or that its file does not describe rightly, a child that it has not, a picture that cannot be written.
pub fn run(arguments: SpaceArguments) -> anyhow::Result<()> {
    let text = match arguments.command {
        SpaceCommand::List => listing()?,
        SpaceCommand::Show { space } => description(&Space::load(&space)?),
        SpaceCommand::Draw(arguments) => draw::run(&arguments)?,
        SpaceCommand::Child { space, child } => table(&child::description(&Space::load(&space)?, &child)?, ""),
    };
    print!("{text}");
    Ok(())
}

fn listing() -> anyhow::Result<String> {
    let mut rows = vec![["name".to_owned(), "children".to_owned(), "title".to_owned()]];
    for name in Space::built_in_names() {
        let space = Space::built_in(name)?;
        rows.push([space.name.clone(), grouped(space.child_count()), space.title]);
    }
    Ok(table(&rows, ""))
}

fn description(space: &Space) -> String {
    let sections = [heading(space), skeleton(space), cells(space), children(space), normalization(space)];
    sections.join("\n")
}

fn heading(space: &Space) -> String {
    format!("{}: {}\n{}\n", space.name, space.title, space.source)
}

fn skeleton(space: &Space) -> String {
    let defaults = &space.defaults;
    let cell = &space.skeleton.cell;
    let reduction = space.skeleton.reduction.as_deref().unwrap_or_default();
    let arrangement = match space.skeleton.arrangement {
        Arrangement::Uniform => format!("{} x `{cell}`, all of one size", defaults.cells),
        Arrangement::Stages => format!("3 stages of {} x `{cell}`, `{reduction}` between them", defaults.cells),
        Arrangement::Thirds => {
            format!("{} in all: `{cell}`, but `{reduction}` at a third and at two thirds", defaults.cells)
        }
    };
    let head = &space.head;
    let steps =
        [head.norm.as_ref().map(|_| "norm"), head.relu.then_some("ReLU"), Some("global average pool"), Some("linear")];
    let mut rows = vec![
        ["default".to_owned(), format!("C = {}, {} classes", defaults.channels, defaults.classes)],
        ["stem".to_owned(), layers(&space.stem.layers)],
        ["cells".to_owned(), arrangement],
    ];
    for (name, residual) in &space.residuals {
        let branches: Vec<_> = residual.branches.iter().map(|branch| format!("({})", layers(branch))).collect();
        rows.push([name.clone(), branches.join(" + ")]);
    }
    rows.push(["head".to_owned(), steps.into_iter().flatten().collect::<Vec<_>>().join(", ")]);
    format!("Skeleton\n{}", table(&rows, "  "))
}

fn cells(space: &Space) -> String {
    space.searched_cells().iter().map(|(name, cell)| cell_section(space, name, cell)).collect::<Vec<_>>().join("\n")
}

fn cell_section(space: &Space, name: &str, cell: &Cell) -> String {
    let edges = cell.edge_list();
    let mut rows = Vec::new();
    for (index, input) in cell.inputs.iter().enumerate() {
        let from = if input.previous == 1 { "the block before" } else { "two blocks before" };
        let layers_of = |list: &[Layer]| if list.is_empty() { "as it is".to_owned() } else { layers(list) };
        rows.push([format!("node {index}"), format!("{from}: {}", layers_of(&input.layers))]);
        if !input.layers_after_reduction.is_empty() {
            let after = layers(&input.layers_after_reduction);
            rows.push([String::new(), format!("where that has twice the size: {after}")]);
        }
    }
    for node in cell.inputs.len()..cell.node_count() {
        let sources = edges.iter().filter(|&&(_, target)| target == node);
        let sources: Vec<_> = sources.map(|(source, target)| format!("edge {source}->{target}")).collect();
        rows.push([format!("node {node}"), sources.join(" + ")]);
    }
    let rule = match cell.output.rule {
        OutputRule::Last => "node",
        OutputRule::Concat => "concatenation of nodes",
        OutputRule::Sum => "sum of nodes",
    };
    let nodes: Vec<_> = cell.output.nodes.iter().map(ToString::to_string).collect();
    rows.push(["output".to_owned(), format!("{rule} {}", nodes.join(", "))]);
    let candidates: Vec<_> = cell
        .candidates
        .iter()
        .enumerate()
        .map(|(index, name)| [(index + 1).to_string(), name.clone(), candidate(space.candidates.get(name))])
        .collect();
    let reduces = if cell.reduces { ", stride 2 on edges from the inputs" } else { "" };
    format!(
        "Cell `{name}`: {} edges{reduces}\n{}  candidates of every edge\n{}",
        edges.len(),
        table(&rows, "  "),
        table(&candidates, "    ")
    )
}

fn candidate(candidate: Option<&Candidate>) -> String {
    match candidate {
        None => String::new(),
        Some(Candidate::Zero) => "zero".to_owned(),
        Some(Candidate::Identity { reduction }) if reduction.is_empty() => "identity".to_owned(),
        Some(Candidate::Identity { reduction }) => format!("identity; at stride 2 {}", layers(reduction)),
        Some(Candidate::Layers { layers: list }) => layers(list),
    }
}

/// Layers in order, separated by semicolons.
fn layers(layers: &[Layer]) -> String {
    layers.iter().map(layer).collect::<Vec<_>>().join("; ")
}

fn layer(layer: &Layer) -> String {
    let mut text = if layer.relu { "ReLU, ".to_owned() } else { String::new() };
    text += &layer.operation.to_string();
    // Writing to a String cannot fail.
    if !matches!(layer.operation.window, LayerWindow::Fixed { .. }) {
        let _ = write!(text, " {0}x{0}", layer.kernel);
    }
    if layer.stride != 1 {
        let _ = write!(text, " stride {}", layer.stride);
    }
    if layer.dilation != 1 {
        let _ = write!(text, " dilation {}", layer.dilation);
    }
    if layer.channels != 1 {
        let _ = write!(text, " to {}C", layer.channels);
    }
    text + if layer.norm.is_some() { ", norm" } else { "" }
}

fn children(space: &Space) -> String {
    let written = match space.encoding {
        Encoding::Digits => "one digit an edge, candidates numbered from 1",
        Encoding::Numbers => "one number an edge, candidates numbered from 1, joined by `-`",
        Encoding::Darts => "one number an edge, candidates numbered from 1, joined by `-`; a genotype is read too",
        Encoding::Nasbench201 => "candidates by name with their source, edges between `|`, nodes joined by `+`",
    };
    let example = space.example_child();
    let mut rows = vec![
        ["number".to_owned(), grouped(space.child_count())],
        ["written".to_owned(), written.to_owned()],
        ["example".to_owned(), space.format_child(&example)],
    ];
    for ((edge, candidates), &chosen) in space.edge_names().iter().zip(space.choice_candidates()).zip(&example.0) {
        rows.push([String::new(), format!("{edge} {}", candidates[usize::from(chosen)])]);
    }
    format!("Children\n{}", table(&rows, "  "))
}

fn normalization(space: &Space) -> String {
    let places = &space.normalization;
    let mut rows = vec![["place", "affine", "running statistics", "momentum", "epsilon"].map(str::to_owned)];
    let given = [
        ("stem", Some(places.stem)),
        ("cell", Some(places.cell)),
        ("residual", places.residual),
        ("head", places.head),
    ];
    for (place, normalization) in given {
        let Some(Normalization { affine, tracked, momentum, epsilon }) = normalization else { continue };
        let yes = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
        rows.push([place.to_owned(), yes(affine), yes(tracked), momentum.to_string(), format!("{epsilon:e}")]);
    }
    format!("Batch normalization\n{}", table(&rows, "  "))
}

/// Rows with their columns aligned to the left, two blanks between.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]], indent: &str) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += format!("{indent}{}", cells.join("  ")).trim_end();
        text.push('\n');
    }
    text
}

/// A number with a comma between thousands.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_zhang64_says_all_that_a_reader_needs() {
        insta::assert_snapshot!(description(&Space::built_in("zhang64").unwrap()), @r"
        zhang64: Three edges with four candidates each: small enough to train every child alone
        Zhang et al., Deeper Insights into Weight Sharing in Neural Architecture Search, arXiv 2001.01431

        Skeleton
          default  C = 16, 10 classes
          stem     convolution 3x3 to 3C, norm; convolution 3x3 to 3C, norm
          cells    4 x `cell`, all of one size
          head     global average pool, linear

        Cell `cell`: 3 edges
          node 0  the block before: ReLU, convolution 1x1, norm
          node 1  edge 0->1
          node 2  edge 0->2 + edge 1->2
          output  concatenation of nodes 1, 2
          candidates of every edge
            1  max_pool_3x3  max pool 3x3, norm
            2  sep_conv_3x3  ReLU, depthwise separable 3x3, norm; ReLU, depthwise separable 3x3, norm
            3  sep_conv_5x5  ReLU, depthwise separable 5x5, norm; ReLU, depthwise separable 5x5, norm
            4  dil_conv_5x5  ReLU, depthwise separable 5x5 dilation 2, norm

        Children
          number   64
          written  one digit an edge, candidates numbered from 1
          example  123
                   0->1 max_pool_3x3
                   0->2 sep_conv_3x3
                   1->2 sep_conv_5x5

        Batch normalization
          place  affine  running statistics  momentum  epsilon
          stem   yes     yes                 0.4       1e-5
          cell   no      yes                 0.4       1e-5
        ");
    }

    #[test]
    fn the_listing_names_every_built_in_space() {
        insta::assert_snapshot!(listing().unwrap(), @r"
        name         children                            title
        zhang64      64                                  Three edges with four candidates each: small enough to train every child alone
        nasbench201  15,625                              Six edges with five candidates each, every child in a published table
        darts        19,342,813,113,834,066,795,298,816  Two cells of fourteen edges with eight candidates each
        ");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(["0", "999", "1,000", "15,625"], [0, 999, 1000, 15_625].map(grouped).as_slice());
    }
}

//! `crosstalk space child`: one child in every notation, and what it computes.

use crate::space::{Child, Space};

/// Notation and text of one child.
///
/// # Errors
/// Text that is no child of the space.
pub fn description(space: &Space, text: &str) -> anyhow::Result<Vec<[String; 2]>> {
    let child = space.read_child(text)?;
    let mut rows = vec![
        ["child".to_owned(), space.format_child(&child)],
        ["index".to_owned(), space.index_of(&child).to_string()],
    ];
    if let Some(genotype) = space.genotype(&child) {
        rows.push(["genotype".to_owned(), genotype.unwrap_or_else(|reason| reason.to_string())]);
    }
    if let Some(indices) = space.to_naslib(&child) {
        rows.push(["NASLib".to_owned(), naslib(&indices)]);
    }
    let connected = if space.is_connected(&child) { "yes" } else { "no: an output does not depend on the images" };
    rows.push(["connected".to_owned(), connected.to_owned()]);
    rows.push(["canonical".to_owned(), space.canonical_string(&child)]);
    rows.push(["flattened".to_owned(), space.flattened_string(&child)]);
    rows.extend(edges(space, &child));
    Ok(rows)
}

/// As NASLib prints a tuple.
fn naslib(indices: &[u8]) -> String {
    let numbers: Vec<_> = indices.iter().map(u8::to_string).collect();
    format!("({})", numbers.join(", "))
}

fn edges(space: &Space, child: &Child) -> Vec<[String; 2]> {
    let candidates = space.choice_candidates();
    let chosen = candidates.into_iter().zip(&child.0).map(|(names, &choice)| names[usize::from(choice)].clone());
    space.edge_names().into_iter().zip(chosen).map(|(edge, name)| [edge, name]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_a_child_is_read_and_written() {
        let space = Space::built_in("nasbench201").unwrap();
        let text = "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";
        let rows = description(&space, text).unwrap();
        for other in ["13806", "(4, 3, 3, 1, 0, 0)", "[4,3,3,1,0,0]"] {
            assert_eq!(description(&space, other).unwrap(), rows, "{other}");
        }
        let of = |key: &str| rows.iter().find(|row| row[0] == key).unwrap()[1].as_str();
        assert_eq!([of("index"), of("NASLib"), of("connected")], ["13806", "(4, 3, 3, 1, 0, 0)", "yes"]);
        assert_eq!(of("canonical"), "#+(0)@nor_conv_1x1+(0)@avg_pool_3x3+(0)@nor_conv_1x1");
        assert_eq!(of("1->2"), "none");
        let darts = Space::built_in("darts").unwrap();
        let rows = description(&darts, &darts.format_child(&darts.example_child())).unwrap();
        assert_eq!(
            rows[2],
            ["genotype", "none: node 2 of `normal` takes 1 edges that are not zero, and a genotype keeps 2"]
        );
        for wrong in ["15625", "(4, 3, 3, 1, 0)", "(4, 3, 3, 1, 0, 5)"] {
            assert!(description(&space, wrong).is_err(), "{wrong}");
        }
    }
}

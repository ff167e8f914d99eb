//! Architecture parameters as named tensors: values under the names of the official code, `alphas/first/NAME` and `alphas/second/NAME` for
//! Adam's moments, `alphas/updates` for the updates done. All are F64 but the last, an I64.

use super::Alphas;
use super::alphas::Table;
use crate::network::Tensors;
use crate::space::{AlphaTensor, Space};
use crate::tensors::{Tensor, Values};

const FIRST: &str = "alphas/first/";
const SECOND: &str = "alphas/second/";
const UPDATES: &str = "alphas/updates";

#[derive(Debug, thiserror::Error)]
pub enum AlphaError {
    #[error(
        "`{name}` is missing beside other architecture parameters; they belong to another space, or the file is damaged"
    )]
    Missing { name: String },
    #[error(
        "`{name}` has the shape {found:?}, but the architecture parameters of this space need {expected:?}; take those of the same space"
    )]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error(
        "`{name}` holds {value}; a search starts from finite numbers, so replace it or remove the architecture parameters"
    )]
    NotFinite { name: String, value: f64 },
}

/// Values and memory.
pub fn export_alphas(space: &Space, alphas: &Alphas) -> Tensors {
    let mut tensors = Tensors::new();
    for (prefix, table) in [("", &alphas.values), (FIRST, &alphas.first), (SECOND, &alphas.second)] {
        tensors
            .extend(export_table(space, table).into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    let values = Values::I64(vec![alphas.updates as i64]);
    tensors.insert(UPDATES.to_owned(), Tensor { shape: Vec::new(), values });
    tensors
}

/// A number for every candidate, under the names of the architecture parameters.
pub fn export_table(space: &Space, table: &Table) -> Tensors {
    let named = |tensor: AlphaTensor| {
        let values = Values::F64(table[tensor.slots.clone()].concat());
        (tensor.name, Tensor { shape: vec![tensor.slots.len(), tensor.candidates], values })
    };
    space.alpha_tensors().into_iter().map(named).collect()
}

/// The architecture parameters that are among `tensors`: with Adam's memory if `memory` says so and it is there. `None` where there
/// are none at all.
///
/// # Errors
/// Some without the others, another shape, a number that is not finite.
pub fn import_alphas(space: &Space, tensors: &Tensors, memory: bool) -> Result<Option<Alphas>, AlphaError> {
    let named = space.alpha_tensors();
    if !named.iter().any(|tensor| tensors.contains_key(&tensor.name)) {
        return Ok(None);
    }
    let table = |prefix: &str| -> Result<Table, AlphaError> {
        let rows = named.iter().map(|tensor| rows(tensors, format!("{prefix}{}", tensor.name), tensor));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.concat())
    };
    let mut alphas = Alphas::new(table("")?);
    if let (true, Some(updates)) = (memory, tensors.get(UPDATES)) {
        (alphas.first, alphas.second) = (table(FIRST)?, table(SECOND)?);
        alphas.updates = updates.values.iter_f64().next().unwrap_or(0.0) as u64;
    }
    Ok(Some(alphas))
}

fn rows(tensors: &Tensors, name: String, described: &AlphaTensor) -> Result<Table, AlphaError> {
    let Some(tensor) = tensors.get(&name) else { return Err(AlphaError::Missing { name }) };
    let expected = vec![described.slots.len(), described.candidates];
    if tensor.shape != expected {
        return Err(AlphaError::Shape { name, found: tensor.shape.clone(), expected });
    }
    let values: Vec<f64> = tensor.values.iter_f64().collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(&value) => Err(AlphaError::NotFinite { name, value }),
        None => Ok(values.chunks(described.candidates).map(<[f64]>::to_vec).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(space: &Space) -> Alphas {
        let mut alphas = Alphas::initial(space, 3);
        let gradient: Table = alphas.values.iter().map(|edge| edge.iter().map(|value| 1e3 * value).collect()).collect();
        let adam = crate::ops::adam::Adam { first_decay: 0.5, second_decay: 0.999, epsilon: 1e-8, weight_decay: 1e-3 };
        alphas.update(&gradient, &adam, 1e-2);
        alphas
    }

    #[test]
    fn alphas_come_back_with_or_without_their_memory() {
        let space = Space::built_in("zhang64").expect("a built-in space");
        let alphas = moved(&space);
        let tensors = export_alphas(&space, &alphas);
        assert_eq!(tensors.len(), 7);
        assert_eq!(tensors["alpha_normal.1"].shape, [2, 4]);
        assert_eq!(import_alphas(&space, &tensors, true).expect("alphas"), Some(alphas.clone()));
        assert_eq!(import_alphas(&space, &tensors, false).expect("alphas"), Some(Alphas::new(alphas.values)));
        assert_eq!(import_alphas(&space, &Tensors::new(), true).expect("nothing wrong"), None);
    }

    #[test]
    fn alphas_that_do_not_fit_are_named() {
        let space = Space::built_in("zhang64").expect("a built-in space");
        let refused = |change: &dyn Fn(&mut Tensors)| {
            let mut tensors = export_alphas(&space, &moved(&space));
            change(&mut tensors);
            import_alphas(&space, &tensors, true).expect_err("a refusal").to_string()
        };
        let error = refused(&|tensors| drop(tensors.remove("alpha_normal.1")));
        assert!(error.starts_with("`alpha_normal.1` is missing beside"), "{error}");
        let error = refused(&|tensors| drop(tensors.remove("alphas/second/alpha_normal.0")));
        assert!(error.starts_with("`alphas/second/alpha_normal.0` is missing"), "{error}");
        let wide = Tensor { shape: vec![1, 5], values: Values::F64(vec![0.0; 5]) };
        let error = refused(&|tensors| drop(tensors.insert("alpha_normal.0".to_owned(), wide.clone())));
        assert!(error.contains("has the shape [1, 5]") && error.contains("need [1, 4]"), "{error}");
        let endless = Tensor { shape: vec![1, 4], values: Values::F64(vec![0.0, f64::NEG_INFINITY, 0.0, 0.0]) };
        let error = refused(&|tensors| drop(tensors.insert("alpha_normal.0".to_owned(), endless.clone())));
        assert!(error.starts_with("`alpha_normal.0` holds -inf;"), "{error}");
    }
}

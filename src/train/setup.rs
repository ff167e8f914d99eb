//! A configuration made concrete: data, pixel table, network and the copies of its parameters.

use super::TrainError;
use super::children::{all, listed};
use super::config::{ConfigError, DataOrder, RunConfig};
use crate::data::{BatchOrder, BatchStream, DataError, Dataset, PixelTable, SplitRanges};
use crate::files::CsvFile;
use crate::network::{Model, Network, NetworkSize, Sharing};
use crate::space::{Child, Space};
use crate::tensor::Shape;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What all replicas of a run have in common.
pub struct Setup {
    pub config: RunConfig,
    pub dataset: Arc<Dataset>,
    pub table: Arc<PixelTable>,
    pub split: SplitRanges,
    pub model: Arc<Model>,
    order: BatchOrder,
    /// Of a search.
    alphas: Option<AlphaData>,
}

/// The images on which architecture parameters step.
struct AlphaData {
    order: BatchOrder,
    /// Those of the training part that do not train the weights.
    images: Range<u32>,
    /// Of the training part, both together.
    all: Range<u32>,
}

impl Setup {
    /// Loads the data and builds the network. Missing numbers of the configuration are filled in, so that it is fully resolved.
    ///
    /// # Errors
    /// Anything that the configuration names and that is not there or does not fit.
    pub fn new(mut config: RunConfig) -> Result<Self, TrainError> {
        config.validate()?;
        config.optimizer.minimum_learning_rate = Some(config.optimizer.minimum_learning_rate());
        let space = config.network.resolve()?;
        let dataset = config.data.source.load_shrunk(config.data.shrink)?;
        let shape = Shape::new(dataset.height, dataset.width, dataset.channels);
        config.augmentation.check(shape)?;
        let channels = dataset.channels;
        for (key, numbers) in [("data.mean", &config.data.mean), ("data.std", &config.data.std)] {
            if let Some(found) = numbers.as_ref().map(Vec::len).filter(|found| *found != channels) {
                return Err(TrainError::Pixels { key, found, channels });
            }
        }
        let mean = config.data.mean.get_or_insert_with(|| dataset.normalization.mean.clone());
        let std = config.data.std.get_or_insert_with(|| dataset.normalization.std.clone());
        let table = PixelTable::new(mean, std)?;
        let mut split = config.data.split().ranges(&dataset)?;
        let alphas = config.is_search().then(|| alpha_data(&mut config, &mut split)).transpose()?;
        let (batch, images) = (config.data.batch, split.training.len());
        if config.data.order == DataOrder::Shuffled && batch as usize > images {
            return Err(TrainError::Batch { batch, images });
        }
        let order = batch_order(config.data.order, "data.batches", config.data.batches.as_deref())?;
        let model = Arc::new(build_model(&mut config, &space, shape, dataset.classes)?);
        let (dataset, table) = (Arc::new(dataset), Arc::new(table));
        Ok(Self { config, dataset, table, split, model, order, alphas })
    }

    pub fn space(&self) -> &Space {
        &self.model.network.space
    }

    /// The mini-batches of a replica with this data seed.
    ///
    /// # Errors
    /// Listed mini-batches that name images outside the training part.
    pub fn stream(&self, seed: u64) -> Result<BatchStream, TrainError> {
        let images = self.split.training.clone();
        Ok(self.listing(&self.order, seed, images)?)
    }

    /// The mini-batches on which a replica's architecture parameters step; `None` where nothing is searched. `seed` is another than that of the
    /// weights' mini-batches, which do not depend on these.
    ///
    /// # Errors
    /// As [`Setup::stream`].
    pub fn alpha_stream(&self, seed: u64) -> Result<Option<BatchStream>, TrainError> {
        let stream = |data: &AlphaData| self.listing(&data.order, seed, data.images.clone());
        Ok(self.alphas.as_ref().map(stream).transpose()?)
    }

    /// Images on which architecture parameters step.
    pub fn alpha_images(&self) -> Option<usize> {
        self.alphas.as_ref().map(|data| data.images.len())
    }

    /// Mini-batches of `images`; those of an explicit order may name any of the training part.
    fn listing(&self, order: &BatchOrder, seed: u64, images: Range<u32>) -> Result<BatchStream, DataError> {
        let count = images.len();
        let allowed = match (order, &self.alphas) {
            (BatchOrder::Explicit(_), Some(data)) => data.all.clone(),
            _ => images,
        };
        Ok(BatchStream::new(order.clone(), seed, allowed, self.config.data.batch)?.with_epoch_of(count))
    }

    /// Children from text (`all`, `every:N`, `sample:N`, a list), all held by the model. `key` is where the text was given.
    ///
    /// # Errors
    /// Text that does not parse, an empty list, a child without a private copy.
    pub fn children(&self, key: &'static str, text: &str) -> Result<Vec<Child>, TrainError> {
        let children = self.space().parse_children(text)?;
        match children.iter().find(|child| !self.model.holds(child)) {
            Some(child) => Err(TrainError::NotHeld { key, child: self.space().format_child(child) }),
            None => Ok(children),
        }
    }
}

/// The network of a configuration over images of a shape, of `found` classes, with the copies that its policy and its children need. The
/// number of classes is filled in.
///
/// # Errors
/// Anything that the configuration says and that does not fit.
pub fn build_model(config: &mut RunConfig, space: &Space, input: Shape, found: usize) -> Result<Model, TrainError> {
    let classes = *config.network.classes.get_or_insert(found);
    if classes < found {
        return Err(TrainError::Classes { found, classes });
    }
    let (channels, cells) = (config.network.channels(space), config.network.cells(space));
    let network = Network::build(space, NetworkSize { input, channels, cells, classes })?;
    if config.data.batch == 1 && network.has_single_pixel_norm() {
        return Err(TrainError::OneValue);
    }
    model(network, config)
}

/// With the copies that the policy and the children need.
fn model(network: Network, config: &RunConfig) -> Result<Model, TrainError> {
    let sharing = config.network.sharing;
    if let Sharing::Prefix(shared) = sharing
        && shared > network.blocks.len()
    {
        let cells = network.blocks.len();
        let problem = format!("= {shared} cells is more than the network has, {cells}; share at most {cells}, or all");
        return Err(ConfigError::Value { key: "network.sharing.prefix", problem }.into());
    }
    if sharing == Sharing::All {
        return Ok(Model::new(network, sharing, &[]));
    }
    let space = &network.space;
    let trained = match listed(space, &config.step)? {
        Some(children) => children,
        None => all(space, "a sharing policy with private copies")?,
    };
    let mut held = match &config.network.children {
        Some(names) => names.iter().map(|name| space.parse_child(name)).collect::<Result<_, _>>()?,
        None => trained.clone(),
    };
    held.sort();
    held.dedup();
    if let Some(child) = trained.iter().find(|child| held.binary_search(child).is_err()) {
        return Err(TrainError::NotListed { child: space.format_child(child) });
    }
    Ok(Model::new(network, sharing, &held))
}

/// Cuts the training images into those of the weights, which stay, and those of the architecture parameters. Fills in the options of a search.
fn alpha_data(config: &mut RunConfig, split: &mut SplitRanges) -> Result<AlphaData, TrainError> {
    let options = config.architecture.get_or_insert_default();
    let (portion, all) = (options.portion, split.training.clone());
    let border = all.start + (portion * all.len() as f64) as u32;
    if border == all.start || border == all.end {
        return Err(TrainError::Portion { portion, images: all.len() });
    }
    split.training.end = border;
    let order = batch_order(config.data.order, "architecture.batches", options.batches.as_deref())?;
    Ok(AlphaData { order, images: border..all.end, all })
}

/// The order with the mini-batches that an explicit one names; `key` is that of their file.
fn batch_order(order: DataOrder, key: &str, path: Option<&Path>) -> Result<BatchOrder, TrainError> {
    Ok(match order {
        DataOrder::Shuffled => BatchOrder::Shuffled,
        DataOrder::File => BatchOrder::File,
        DataOrder::Explicit => BatchOrder::Explicit(listed_batches(path.ok_or_else(|| {
            let problem = format!("is \"explicit\", so {key} must name a CSV file with columns step, position, image");
            ConfigError::Value { key: "data.order", problem }
        })?)?),
    })
}

/// Reads mini-batches from columns step, position, image.
///
/// # Errors
/// A file that is not there or malformed, a step or position that is missing or listed twice.
pub fn listed_batches(path: &Path) -> Result<Vec<Vec<u32>>, TrainError> {
    let file = CsvFile::read(path, ["step", "position", "image"])?;
    let mut steps: BTreeMap<u64, BTreeMap<u64, u32>> = BTreeMap::new();
    for row in file.rows() {
        let (step, position) = (row.count(0)?, row.count(1)?);
        if steps.entry(step).or_default().insert(position, row.count(2)?).is_some() {
            return Err(row.problem(format!("step {step} lists position {position} twice; remove one")).into());
        }
    }
    let problem = |problem: String| TrainError::Batches { path: path.to_owned(), problem };
    for (expected, (step, images)) in steps.iter().enumerate() {
        if *step != expected as u64 {
            return Err(problem(format!("step {expected} is missing; list every step from 0")));
        }
        if let Some(gap) = images.keys().enumerate().find(|(place, position)| *place as u64 != **position) {
            return Err(problem(format!("step {step} has no position {}; list every position from 0", gap.0)));
        }
    }
    Ok(steps.into_values().map(|images| images.into_values().collect()).collect())
}

//! The environment `containers`: the same set as `local`, by testcontainers, on a network of the run's own.
//!
//! In: [`Needs`], [`ServiceSpec`]s, a container engine. Out: the [`Environment`] interface. Elsewhere: the images (`deploy/`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::environment::{Environment, EnvironmentKind, Link, Node, Witness};
use crate::needs::{Needs, ServiceSpec};
use crate::progress::Progress;
use crate::{Death, EnvironmentError};

/// A running environment of containers.
#[derive(Debug)]
pub struct Containers {}
